// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"dalio/protocol"
)

// ErrAttached is returned by Attach when the data plane is attached already.
var ErrAttached = errors.New("the data plane is attached already")

// Attach attaches the program to devices of the calling thread's network
// namespace, in native mode: to one, by which all replicas are reached, or to
// several if it was loaded for that. It returns ErrNoDevice, ErrNoNativeXDP,
// ErrDeviceBusy, ErrMTU or ErrPermission when it is refused for that cause, and is
// attached to all devices or to none.
func (d *DataPlane) Attach(ifindexes ...int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.devices) != 0 {
		return ErrAttached
	}
	if err := d.attach(ifindexes); err != nil {
		return errors.Join(err, d.detach())
	}
	return nil
}

func (d *DataPlane) attach(ifindexes []int) error {
	most := 1
	if d.options.SeveralDevices {
		most = maxDevices
	}
	if len(ifindexes) == 0 || len(ifindexes) > most {
		return fmt.Errorf("%w: attach to %d devices, want 1 to %d", ErrOptions, len(ifindexes), most)
	}
	if err := checkPaths(d.paths, ifindexes); err != nil {
		return err
	}
	if err := d.enterDevices(ifindexes); err != nil {
		return err
	}
	// Everything is in place before the first frame comes.
	if err := d.install(d.memberships[d.active]); err != nil {
		return err
	}
	if err := d.fillGroup(d.memberships[d.active].Members); err != nil {
		return err
	}
	if err := d.prepareEntries(); err != nil {
		return err
	}
	for number, ifindex := range ifindexes {
		l, err := AttachNative(d.entries[number], ifindex)
		if err != nil {
			return err
		}
		d.links = append(d.links, l)
	}
	return nil
}

// enterDevices makes the devices known to the program under their numbers.
func (d *DataPlane) enterDevices(ifindexes []int) error {
	var table deviceTable
	for number, ifindex := range ifindexes {
		device, err := net.InterfaceByIndex(ifindex)
		if err != nil {
			return fmt.Errorf("attach XDP program to device number %d: %w (%w)", ifindex, ErrNoDevice, err)
		}
		if slices.Contains(d.devices, ifindex) {
			return fmt.Errorf("%w: attach to device %s twice", ErrOptions, device.Name)
		}
		d.devices = append(d.devices, ifindex)
		table[number].set(device)
		if !d.options.SeveralDevices {
			continue
		}
		if err := d.objects.DeviceNumbers.Put(uint32(ifindex), uint32(number)); err != nil {
			return fmt.Errorf("enter device %s: %w", device.Name, err)
		}
		if err := d.objects.Exits.Put(uint32(number), d.leaveBy(ifindex)); err != nil {
			return fmt.Errorf("enter device %s: %w", device.Name, explainAttach(err))
		}
	}
	if err := d.objects.EgressIfindex.Set(uint32(ifindexes[0])); err != nil {
		return fmt.Errorf("enter devices: %w", err)
	}
	if err := d.objects.Devices.Set(table); err != nil {
		return fmt.Errorf("enter devices: %w", err)
	}
	return nil
}

// Detach takes the program off its devices, if it is attached, and removes its pins.
func (d *DataPlane) Detach() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.detach()
}

func (d *DataPlane) detach() error {
	problems := []error{d.unpin()}
	for _, l := range d.links {
		problems = append(problems, l.Close())
	}
	problems = append(problems, d.closeEntries(), d.fillGroup(0))
	if d.options.SeveralDevices {
		for number, ifindex := range d.devices {
			problems = append(problems, remove(d.objects.Exits, uint32(number)), remove(d.objects.DeviceNumbers, uint32(ifindex)))
		}
	}
	d.links, d.devices = nil, nil
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("detach data plane: %w", err)
	}
	return nil
}

// numbers returns the number of each device.
func (d *DataPlane) numbers() map[int]int {
	numbers := map[int]int{}
	for number, ifindex := range d.devices {
		numbers[ifindex] = number
	}
	return numbers
}

// checkPaths returns ErrNoDevice if a replica's device is not among the devices.
func checkPaths(paths [protocol.MaxMembers]int, devices []int) error {
	for i, ifindex := range paths {
		if ifindex != 0 && !slices.Contains(devices, ifindex) {
			return fmt.Errorf("path of replica index %d: %w: the data plane is not on device %s", i, ErrNoDevice, deviceName(ifindex))
		}
	}
	return nil
}

// fillGroup gives the multicast group an entry for each of the members, for the
// device that the member is reached by: the clone program tells copies apart.
// While there is no device, there are no entries.
func (d *DataPlane) fillGroup(members uint16) error {
	for i, entered := range d.group {
		wanted := 0
		if members>>i&1 != 0 && len(d.devices) != 0 {
			if wanted = d.paths[i]; wanted == 0 {
				wanted = d.devices[0]
			}
		}
		if wanted == entered {
			continue
		}
		d.group[i] = wanted
		if wanted == 0 {
			if err := remove(d.objects.Group, uint32(i)); err != nil {
				return fmt.Errorf("shrink the multicast group: %w", err)
			}
			continue
		}
		if err := d.objects.Group.Put(uint32(i), d.leaveBy(wanted)); err != nil {
			return fmt.Errorf("enter device %s into the multicast group: %w", deviceName(wanted), explainAttach(err))
		}
	}
	return nil
}

// leaveBy is the value of a device map's entry. All entries have the one program,
// because the kernel runs the first one's on all that leaves at the same time.
func (d *DataPlane) leaveBy(ifindex int) []byte {
	value := make([]byte, 8)
	binary.NativeEndian.PutUint32(value[0:], uint32(ifindex))
	binary.NativeEndian.PutUint32(value[4:], uint32(d.objects.Clone.FD()))
	return value
}

// remove deletes a key. The kernel itself removes the entries of a device that
// goes away.
func remove(m *ebpf.Map, key uint32) error {
	if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
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
		return nil, fmt.Errorf("load pass program: %w", ExplainLoad(err))
	}
	// The link keeps the program; its descriptor is not needed any more.
	defer program.Close()
	return AttachNative(program, ifindex)
}

// AttachNative attaches an XDP program to a device of the calling thread's network
// namespace, in native mode, until the link is closed. It returns the same errors as
// [DataPlane.Attach].
func AttachNative(program *ebpf.Program, ifindex int) (link.Link, error) {
	if _, err := net.InterfaceByIndex(ifindex); err != nil {
		return nil, fmt.Errorf("attach XDP program to device number %d: %w (%w)", ifindex, ErrNoDevice, err)
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: ifindex, Flags: link.XDPDriverMode})
	if err != nil {
		return nil, fmt.Errorf("attach XDP program to device %s: %w", deviceName(ifindex), explainAttach(err))
	}
	return l, nil
}

// IsVeth says whether a device of the calling thread's network namespace is one end of a
// veth pair. What its driver sends back is lost, unseen, if the other end runs no XDP
// program.
func IsVeth(ifindex int) (bool, error) {
	l, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return false, fmt.Errorf("look at device %s: %w", deviceName(ifindex), err)
	}
	return l.Type() == "veth", nil
}

func deviceName(ifindex int) string {
	device, err := net.InterfaceByIndex(ifindex)
	if err != nil {
		return fmt.Sprintf("number %d", ifindex)
	}
	return device.Name
}
