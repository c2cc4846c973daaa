// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Mend puts the program back on the devices from which somebody else has taken it, or
// where another one runs in its place, and says whether it had to. To the protocol that
// is a time in which all frames were lost. It returns ErrNotAttached, or what Attach may,
// and must be called in the network namespace of the devices, as that.
func (d *DataPlane) Mend() (mended bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.links) == 0 {
		return false, ErrNotAttached
	}
	for number := range d.links {
		did, err := d.mend(number)
		if err != nil {
			return mended, fmt.Errorf("put the program back on device %s: %w", deviceName(d.devices[number]), err)
		}
		mended = mended || did
	}
	return mended, nil
}

func (d *DataPlane) mend(number int) (mended bool, err error) {
	l := d.links[number]
	switch _, err := d.checkAttached(l, uint32(d.devices[number])); {
	case errors.Is(err, ErrPinsDiffer):
		// One that was replaced and then taken off has no device to be put back on.
		if err := l.Update(d.entries[number]); !errors.Is(err, unix.ENOLINK) {
			return err == nil, err
		}
	case !errors.Is(err, ErrNoDevice):
		return false, err
	}
	// Another device may have got the number.
	if veth, err := IsVeth(d.devices[number]); err == nil && !veth && d.entries[number] != d.objects.Coordinator {
		d.entries[number] = d.objects.Coordinator
		_ = d.doWithout(notVeth(d.devices[number]))
	}
	fresh, err := AttachNative(d.entries[number], d.devices[number])
	if err != nil {
		return false, err
	}
	d.links[number] = fresh
	return true, errors.Join(l.Close(), d.repin(number, fresh))
}

// repin pins a link in the place of one that holds nothing any more.
func (d *DataPlane) repin(number int, l link.Link) error {
	if d.pins == nil {
		return nil
	}
	path := d.pinned(linkPin(number))
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return l.Pin(path)
}
