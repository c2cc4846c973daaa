// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cilium/ebpf"

	"dalio/bpf/prefetch"
)

// Prefetch says whether another program fetches ahead what waits in a device's ring, in
// front of the coordinator's: see package prefetch. It is for veth devices alone, whose
// driver does not.
type Prefetch uint8

// The ways there are.
const (
	// PrefetchAuto does so where it can be done.
	PrefetchAuto Prefetch = iota
	// PrefetchOn refuses to be attached where it can't.
	PrefetchOn
	// PrefetchOff never does so.
	PrefetchOff
)

var prefetchNames = [...]string{PrefetchAuto: "auto", PrefetchOn: "on", PrefetchOff: "off"}

// String returns the way's name: auto, on or off.
func (p Prefetch) String() string {
	if int(p) < len(prefetchNames) {
		return prefetchNames[p]
	}
	return fmt.Sprintf("Prefetch(%d)", uint8(p))
}

// MarshalText implements [encoding.TextMarshaler].
func (p Prefetch) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Prefetch) UnmarshalText(name []byte) error {
	i := slices.Index(prefetchNames[:], string(name))
	if i < 0 {
		return fmt.Errorf("%q: want auto, on or off", name)
	}
	*p = Prefetch(i)
	return nil
}

// ErrNoPrefetch is why frames are not fetched ahead.
var ErrNoPrefetch = errors.New("frames are not fetched ahead")

// Prefetches returns nil if frames are fetched ahead on all devices that the data plane is
// attached to, or else ErrNoPrefetch with the reason.
func (d *DataPlane) Prefetches() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case len(d.links) == 0:
		return fmt.Errorf("%w: %w", ErrNoPrefetch, ErrNotAttached)
	case !slices.Contains(d.entries, d.objects.Coordinator):
		return nil
	}
	return d.noPrefetch
}

// prepareEntries finds the program that each device is to run first: the coordinator's, or
// the one in front of it.
func (d *DataPlane) prepareEntries() error {
	for _, ifindex := range d.devices {
		entry, why := d.entryFor(ifindex)
		if why != nil {
			if err := d.doWithout(why); d.options.Prefetch == PrefetchOn {
				return err
			}
		}
		d.entries = append(d.entries, entry)
	}
	return nil
}

// doWithout takes note of why frames of some device are not fetched ahead, and returns it
// as ErrNoPrefetch.
func (d *DataPlane) doWithout(why error) error {
	d.noPrefetch = fmt.Errorf("%w: %w", ErrNoPrefetch, why)
	return d.noPrefetch
}

// entryFor returns the program for a device, and why it is that of the coordinator if it is.
func (d *DataPlane) entryFor(ifindex int) (*ebpf.Program, error) {
	if d.options.Prefetch == PrefetchOff {
		return d.objects.Coordinator, errors.New("it is switched off")
	}
	veth, err := IsVeth(ifindex)
	if err != nil {
		return d.objects.Coordinator, err
	}
	if !veth {
		return d.objects.Coordinator, notVeth(ifindex)
	}
	if d.prefetch == nil {
		if d.prefetch, err = prefetch.Load(d.objects.Coordinator); err != nil {
			return d.objects.Coordinator, ExplainLoad(err)
		}
	}
	return d.prefetch.Program(), nil
}

func notVeth(ifindex int) error {
	return fmt.Errorf("device %s is no veth", deviceName(ifindex))
}

// adoptEntries takes over what runs in front of the coordinator's program, if anything does.
func (d *DataPlane) adoptEntries() (err error) {
	without := d.doWithout(errors.New("the data plane was pinned without it"))
	d.prefetch, err = prefetch.LoadPinned(d.pins.dir, d.objects.Coordinator)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if d.options.Prefetch == PrefetchOn {
			return fmt.Errorf("%w (%w)", ErrPinsDiffer, without)
		}
		return nil
	case errors.Is(err, prefetch.ErrHandler):
		return fmt.Errorf("%w (%w)", ErrPinsDiffer, err)
	case err == nil && d.options.Prefetch == PrefetchOff:
		return fmt.Errorf("%w: it fetches frames ahead", ErrPinsDiffer)
	}
	return err
}

// entryWith returns which of the programs that a device may run first has the id, or nil.
func (d *DataPlane) entryWith(id ebpf.ProgramID) (*ebpf.Program, error) {
	candidates := []*ebpf.Program{d.objects.Coordinator}
	if d.prefetch != nil {
		candidates = append(candidates, d.prefetch.Program())
	}
	for _, program := range candidates {
		info, err := program.Info()
		if err != nil {
			return nil, err
		}
		if has, _ := info.ID(); has == id {
			return program, nil
		}
	}
	return nil, nil
}

func (d *DataPlane) closeEntries() error {
	var err error
	if d.prefetch != nil {
		err = d.prefetch.Close()
	}
	d.prefetch, d.entries, d.noPrefetch = nil, nil, nil
	return err
}
