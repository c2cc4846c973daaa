// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"dalio/impl/fabric"
)

const xdpPass = 2

// errNoProgram says that nothing is attached to a node's device.
var errNoProgram = errors.New("no program is attached")

// withLink hands over the link that keeps an XDP program on a node's device.
func withLink(n *fabric.Node, do func(link.Link) error) error {
	var program ebpf.ProgramID
	err := n.Do(func() error {
		device, err := netlink.LinkByName(fabric.Device)
		if err != nil {
			return err
		}
		if xdp := device.Attrs().Xdp; xdp != nil && xdp.Attached {
			program = ebpf.ProgramID(xdp.ProgId)
			return nil
		}
		return errNoProgram
	})
	if err != nil {
		return fmt.Errorf("find the program of %s: %w", n.Name, err)
	}
	var all link.Iterator
	defer all.Close()
	for all.Next() {
		info, err := all.Link.Info()
		if err == nil && info.Type == link.XDPType && info.Program == program {
			return do(all.Link)
		}
	}
	return fmt.Errorf("find the link of %s: %w", n.Name, errors.Join(errNoProgram, all.Err()))
}

// DetachProgram takes the program off a node's device.
func DetachProgram(n *fabric.Node) error { return withLink(n, link.Link.Detach) }

// ReplaceProgram puts a program that passes every frame in the place of the one on a
// node's device.
func ReplaceProgram(n *fabric.Node) error {
	pass, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "pass", Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()}})
	if err != nil {
		return fmt.Errorf("load a program to put in place of another: %w", err)
	}
	defer pass.Close() // The link keeps it.
	return withLink(n, func(l link.Link) error { return l.Update(pass) })
}
