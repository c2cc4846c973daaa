// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

const (
	xdpPass = 2
	// hosts is how many there can be in the subnet.
	hosts = 256
)

// loadSwitch loads a program for the ports that hands each frame to the port of the
// node that it is for, past the bridge, and the map in which it finds ports by host
// number. What is for nobody in the map, such as a broadcast, goes on to the bridge.
func loadSwitch() (*ebpf.Program, *ebpf.Map, error) {
	ports, err := ebpf.NewMap(&ebpf.MapSpec{Name: "switch_ports", Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: hosts})
	if err != nil {
		return nil, nil, fmt.Errorf("make the switch's map of ports: %w", err)
	}
	base := hardwareAddress(address(0))
	const head, ethernet = 4, 14
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "switch", Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "Apache-2.0",
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R2, asm.R1, 0, asm.Word),
			asm.LoadMem(asm.R3, asm.R1, 4, asm.Word),
			asm.Mov.Reg(asm.R4, asm.R2),
			asm.Add.Imm(asm.R4, ethernet),
			asm.JGT.Reg(asm.R4, asm.R3, "pass"),
			// The first bytes of an address are the same on all nodes; the last is the host's number.
			asm.LoadMem(asm.R5, asm.R2, 0, asm.Word),
			asm.JNE.Imm(asm.R5, int32(binary.NativeEndian.Uint32(base)), "pass"),
			asm.LoadMem(asm.R5, asm.R2, head, asm.Byte),
			asm.JNE.Imm(asm.R5, int32(base[head]), "pass"),
			asm.LoadMem(asm.R2, asm.R2, head+1, asm.Byte),
			asm.LoadMapPtr(asm.R1, ports.FD()),
			asm.Mov.Imm(asm.R3, xdpPass),
			asm.FnRedirectMap.Call(),
			asm.Return(),
			asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("pass"),
			asm.Return(),
		},
	})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("load the switch: %w", err), ports.Close())
	}
	return program, ports, nil
}

// enter has the switch hand frames to a node. The caller is in the bridge's namespace.
func (r *Rack) enter(node *Node, port int) error {
	if r.ports == nil {
		return nil
	}
	if err := r.ports.Put(uint32(node.Addr.As4()[3]), uint32(port)); err != nil {
		return fmt.Errorf("have the switch know %s: %w", node.Name, err)
	}
	return nil
}

// AttachPass attaches a program to the node's device that passes every frame, until
// what is returned is closed. Where frames come by the switch, a device that has no
// XDP program receives none.
func (n *Node) AttachPass() (io.Closer, error) {
	var attached link.Link
	err := n.Do(func() error {
		device, err := netlink.LinkByName(Device)
		if err != nil {
			return err
		}
		attached, err = link.AttachXDP(link.XDPOptions{Program: n.rack.pass, Interface: device.Attrs().Index, Flags: link.XDPDriverMode})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("attach pass program to %s: %w", n.Name, err)
	}
	return attached, nil
}
