// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"dalio/protocol"
)

// ErrPinsDiffer is returned by Adopt when the data plane that is pinned was loaded
// from another object or with other options, or its program was replaced since.
var ErrPinsDiffer = errors.New("another data plane is pinned: remove it with Unpin, and load a new one")

// Adopt takes over a data plane that another process has pinned, with all that it
// remembers; State tells what that is. It goes on without a pause, as the pinned
// programs are used again. Adopt returns ErrOptions as Load does, ErrNotPinned,
// ErrHeld or ErrPinsDiffer for that cause, and ErrNoDevice if a device it was
// attached to is not in the calling thread's network namespace; then what is
// pinned stays as it was. The caller must Close the data plane or Release it.
func Adopt(dir string, o Options) (*DataPlane, error) {
	spec, err := prepare(&o)
	if err != nil {
		return nil, err
	}
	held, err := holdPins(dir)
	if err != nil {
		return nil, fmt.Errorf("adopt data plane in %s: %w", dir, err)
	}
	d := &DataPlane{options: o, pins: held, now: Now}
	if err := d.adopt(spec); err != nil {
		return nil, errors.Join(fmt.Errorf("adopt data plane in %s: %w", dir, err), d.letGo())
	}
	return d, nil
}

func (d *DataPlane) adopt(spec *ebpf.CollectionSpec) error {
	if err := d.adoptPrograms(spec); err != nil {
		return err
	}
	if err := d.adoptMaps(spec); err != nil {
		return err
	}
	if err := d.adoptEntries(); err != nil {
		return err
	}
	if err := d.adoptLinks(); err != nil {
		return err
	}
	if err := d.adoptMembership(); err != nil {
		return err
	}
	// The predecessor may have died after a change, before it had waited.
	return waitForPrograms()
}

func (d *DataPlane) pinned(name string) string { return filepath.Join(d.pins.dir, name) }

// notPinned tells that a part is missing.
func notPinned(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w (%w)", ErrNotPinned, err)
	}
	return err
}

func (d *DataPlane) adoptPrograms(spec *ebpf.CollectionSpec) error {
	for name := range d.objects.programs() {
		program, err := ebpf.LoadPinnedProgram(d.pinned(name), nil)
		if err != nil {
			return notPinned(err)
		}
		d.objects.setProgram(name, program)
		info, err := program.Info()
		if err != nil {
			return err
		}
		if err := spec.Programs[name].Compatible(info); err != nil {
			return fmt.Errorf("%w: program %s was built from other sources (%w)", ErrPinsDiffer, name, err)
		}
	}
	return nil
}

// adoptMaps puts pinned maps in place of those that an object describes. Only what
// the program does not use is made anew.
func (d *DataPlane) adoptMaps(spec *ebpf.CollectionSpec) error {
	used, err := mapsOf(d.objects.Coordinator)
	if err != nil {
		return err
	}
	found := map[string]*ebpf.Map{}
	for name := range spec.Maps {
		m, err := ebpf.LoadPinnedMap(d.pinned(mapPin(name)), nil)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		defer m.Close()
		info, err := m.Info()
		if err != nil {
			return err
		}
		if id, _ := info.ID(); !slices.Contains(used, id) {
			return fmt.Errorf("%w: its program does not use map %s", ErrPinsDiffer, name)
		}
		found[name] = m
	}
	if len(found) != len(used) {
		return fmt.Errorf("%w: %d maps of %d", ErrNotPinned, len(found), len(used))
	}
	if err := checkConstants(spec, found); err != nil {
		return err
	}
	if err := d.objects.fill(spec, found); errors.Is(err, ebpf.ErrMapIncompatible) {
		return fmt.Errorf("%w (%w)", ErrPinsDiffer, err)
	} else if err != nil {
		return err
	}
	return nil
}

// checkConstants compares what the program was loaded with and what it would be
// loaded with now.
func checkConstants(spec *ebpf.CollectionSpec, found map[string]*ebpf.Map) error {
	contents := map[string][]byte{}
	for name, m := range found {
		info, err := m.Info()
		if err != nil {
			return err
		}
		// Only constants are frozen.
		if !info.Frozen() {
			continue
		}
		if contents[name], err = m.LookupBytes(uint32(0)); err != nil {
			return err
		}
	}
	for name, v := range spec.Variables {
		pinned, constant := contents[v.SectionName]
		if !constant {
			continue
		}
		end := int(v.Offset) + len(v.Value)
		if end > len(pinned) || !slices.Equal(pinned[v.Offset:end], v.Value) {
			return fmt.Errorf("%w: it was loaded with another %s", ErrPinsDiffer, name)
		}
	}
	return nil
}

func (d *DataPlane) adoptLinks() error {
	var table deviceTable
	if err := d.objects.Devices.Get(&table); err != nil {
		return err
	}
	for number, device := range table {
		if device.Ifindex == 0 {
			break
		}
		l, err := link.LoadPinnedLink(d.pinned(linkPin(number)), nil)
		if err != nil {
			return notPinned(err)
		}
		d.links = append(d.links, l)
		d.devices = append(d.devices, int(device.Ifindex))
		entry, err := d.checkLink(l, device)
		if err != nil {
			return err
		}
		d.entries = append(d.entries, entry)
	}
	if len(d.links) == 0 {
		return fmt.Errorf("%w: it is attached to no device", ErrNotPinned)
	}
	return nil
}

// checkLink returns the program that the link runs, or ErrPinsDiffer if that is none of the
// data plane's, as when someone else has updated it, and ErrNoDevice if it is not on the
// device.
func (d *DataPlane) checkLink(l link.Link, on device) (*ebpf.Program, error) {
	entry, err := d.checkAttached(l, on.Ifindex)
	if err != nil {
		return nil, err
	}
	// Another device may have the number in another network namespace.
	var here device
	if found, err := net.InterfaceByIndex(int(on.Ifindex)); err == nil {
		here.set(found)
	}
	if here != on {
		return nil, notOnDevice(on.Ifindex)
	}
	return entry, nil
}

// checkAttached is checkLink for a link that this process has made, or has checked.
func (d *DataPlane) checkAttached(l link.Link, ifindex uint32) (*ebpf.Program, error) {
	info, err := l.Info()
	if err != nil {
		return nil, err
	}
	entry, err := d.entryWith(info.Program)
	if err != nil {
		return nil, err
	}
	if entry == nil {
		return nil, fmt.Errorf("%w: device %d runs program %d", ErrPinsDiffer, ifindex, info.Program)
	}
	if xdp := info.XDP(); xdp == nil || xdp.Ifindex != ifindex {
		return nil, notOnDevice(ifindex)
	}
	return entry, nil
}

func notOnDevice(ifindex uint32) error {
	return fmt.Errorf("%w: number %d, which the data plane was attached to", ErrNoDevice, ifindex)
}

// adoptMembership reads what the predecessor also had in its own memory, and
// finishes a change of members that it may have died in.
func (d *DataPlane) adoptMembership() error {
	if err := errors.Join(d.objects.Memberships.Get(&d.memberships), d.objects.Active.Get(&d.active)); err != nil {
		return err
	}
	for i := range d.memberships {
		// The program knows better, or finds it out.
		d.memberships[i].LeaseUntil = 0
	}
	for i, number := range d.memberships[d.active].Device {
		if number != 0 {
			d.paths[i] = d.devices[number]
		}
	}
	var index uint32
	var value [8]byte
	entries := d.objects.Group.Iterate()
	for entries.Next(&index, &value) {
		d.group[index%protocol.MaxMembers] = int(binary.NativeEndian.Uint32(value[:]))
	}
	if err := entries.Err(); err != nil {
		return fmt.Errorf("read the multicast group: %w", err)
	}
	return d.fillGroup(d.memberships[d.active].Members)
}
