// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// ErrAttached is returned by Attach when the data plane is attached already.
var ErrAttached = errors.New("the data plane is attached already")

// Attach attaches the program to a device of the calling thread's network
// namespace, in native mode. It returns ErrNoDevice, ErrNoNativeXDP,
// ErrDeviceBusy, ErrMTU or ErrPermission when it is refused for that cause. All
// replicas must be reached through this device.
func (d *DataPlane) Attach(ifindex int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.link != nil {
		return ErrAttached
	}
	if err := d.objects.EgressIfindex.Set(uint32(ifindex)); err != nil {
		return fmt.Errorf("attach to device %s: %w", deviceName(ifindex), err)
	}
	l, err := attachNative(d.objects.Coordinator, ifindex)
	if err != nil {
		return err
	}
	d.link, d.ifindex = l, ifindex
	if err := d.fillGroup(memberCount(d.memberships[d.active].Members)); err != nil {
		return errors.Join(err, d.detach())
	}
	return nil
}

// Detach takes the program off its device, if it is attached.
func (d *DataPlane) Detach() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.detach()
}

func (d *DataPlane) detach() error {
	if d.link == nil {
		return nil
	}
	err := errors.Join(d.link.Close(), d.fillGroup(0))
	d.link, d.ifindex = nil, 0
	if err != nil {
		return fmt.Errorf("detach data plane: %w", err)
	}
	return nil
}

// fillGroup gives the multicast group n entries, all of them for the one device:
// the clone program tells the copies apart.
func (d *DataPlane) fillGroup(n int) error {
	for ; d.cloned < n; d.cloned++ {
		value := make([]byte, 8)
		binary.NativeEndian.PutUint32(value[0:], uint32(d.ifindex))
		binary.NativeEndian.PutUint32(value[4:], uint32(d.objects.Clone.FD()))
		if err := d.objects.Group.Put(uint32(d.cloned), value); err != nil {
			return fmt.Errorf("enter device %s into the multicast group: %w", deviceName(d.ifindex), explainAttach(err))
		}
	}
	for ; d.cloned > n; d.cloned-- {
		err := d.objects.Group.Delete(uint32(d.cloned - 1))
		// The kernel removes the entries of a device that goes away.
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("shrink the multicast group: %w", err)
		}
	}
	return nil
}

// AttachPass attaches a program that passes every frame to a device, in native
// mode, until it is closed. A veth device needs one to receive frames that its
// peer redirects or sends back. It returns the same errors as Attach.
func AttachPass(ifindex int) (io.Closer, error) {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "pass",
		Type: ebpf.XDP,
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R0, xdpPass),
			asm.Return(),
		},
		License: "GPL",
	})
	if err != nil {
		return nil, fmt.Errorf("load pass program: %w", explainLoad(err))
	}
	// The link keeps the program; its descriptor is not needed any more.
	defer program.Close()
	return attachNative(program, ifindex)
}

func attachNative(program *ebpf.Program, ifindex int) (link.Link, error) {
	if _, err := net.InterfaceByIndex(ifindex); err != nil {
		return nil, fmt.Errorf("attach XDP program to device number %d: %w (%w)", ifindex, ErrNoDevice, err)
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: ifindex, Flags: link.XDPDriverMode})
	if err != nil {
		return nil, fmt.Errorf("attach XDP program to device %s: %w", deviceName(ifindex), explainAttach(err))
	}
	return l, nil
}

func deviceName(ifindex int) string {
	device, err := net.InterfaceByIndex(ifindex)
	if err != nil {
		return fmt.Sprintf("number %d", ifindex)
	}
	return device.Name
}
