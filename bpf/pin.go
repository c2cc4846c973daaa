// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"dalio/bpf/prefetch"
)

var (
	// ErrNotAttached is returned by Pin for a data plane that is on no device.
	ErrNotAttached = errors.New("the data plane is not attached")
	// ErrPinned is returned by Pin for a directory that is there already.
	ErrPinned = errors.New("a data plane is pinned already: adopt it, or remove it with Unpin")
	// ErrNotPinned is returned when there is no data plane, or just a part of one.
	ErrNotPinned = errors.New("no data plane is pinned: load one, after removing with Unpin what is left of another")
	// ErrHeld is returned when another process has the pinned data plane.
	ErrHeld = errors.New("another process has the pinned data plane")
)

// pins is where a data plane is pinned. The lock on the directory ends with the
// process, so that at any time one at most acts on the data plane.
type pins struct {
	dir  string
	lock *os.File
}

// linkPrefix begins the names of pinned links, which end in the device's number.
const linkPrefix = "link_"

// mapPin is a file's name for a map: the kernel takes no dots, which the maps of
// variables have in their names.
func mapPin(name string) string { return "map_" + strings.ReplaceAll(name, ".", "_") }

func linkPin(number int) string { return fmt.Sprint(linkPrefix, number) }

// Pin has the attached data plane outlive the process: it goes on by itself until
// a successor adopts it, or Unpin removes it. The directory must not be there yet,
// and be in a file system of type bpf. Pin returns ErrNotAttached, ErrPinned or
// ErrHeld for that cause; then nothing is pinned.
func (d *DataPlane) Pin(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case len(d.links) == 0:
		return ErrNotAttached
	case d.pins != nil:
		return fmt.Errorf("pin data plane in %s: %w in %s", dir, ErrPinned, d.pins.dir)
	}
	if err := os.Mkdir(dir, 0o700); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("pin data plane in %s: %w", dir, ErrPinned)
	} else if err != nil {
		return fmt.Errorf("pin data plane: %w", err)
	}
	held, err := holdPins(dir)
	if err != nil {
		return errors.Join(fmt.Errorf("pin data plane in %s: %w", dir, err), os.Remove(dir))
	}
	d.pins = held
	if err := d.pinParts(dir); err != nil {
		return errors.Join(fmt.Errorf("pin data plane in %s: %w", dir, err), d.unpin())
	}
	return nil
}

// pinParts pins the links last: without them, what is pinned is no data plane.
func (d *DataPlane) pinParts(dir string) error {
	maps, err := openMaps(d.objects.Coordinator)
	if err != nil {
		return err
	}
	defer closeMaps(maps)
	for name, m := range maps {
		if err := m.Pin(filepath.Join(dir, mapPin(name))); err != nil {
			return err
		}
	}
	for name, program := range d.objects.programs() {
		if err := program.Pin(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if d.prefetch != nil {
		if err := d.prefetch.Pin(dir); err != nil {
			return err
		}
	}
	for number, l := range d.links {
		if err := l.Pin(filepath.Join(dir, linkPin(number))); err != nil {
			return err
		}
	}
	return nil
}

// mapsOf returns the maps that a program uses. Those of variables can be had in no
// other way.
func mapsOf(program *ebpf.Program) ([]ebpf.MapID, error) {
	info, err := program.Info()
	if err != nil {
		return nil, err
	}
	ids, ok := info.MapIDs()
	if !ok {
		return nil, ErrKernel
	}
	return ids, nil
}

// openMaps returns the maps that a program uses, by their names. The caller must
// close them.
func openMaps(program *ebpf.Program) (maps map[string]*ebpf.Map, err error) {
	ids, err := mapsOf(program)
	if err != nil {
		return nil, err
	}
	maps = map[string]*ebpf.Map{}
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return nil, errors.Join(err, closeMaps(maps))
		}
		info, err := m.Info()
		if err != nil {
			return nil, errors.Join(err, m.Close(), closeMaps(maps))
		}
		maps[info.Name] = m
	}
	return maps, nil
}

func closeMaps(maps map[string]*ebpf.Map) error {
	var problems []error
	for _, m := range maps {
		problems = append(problems, m.Close())
	}
	return errors.Join(problems...)
}

// Release closes a pinned data plane without detaching it, so that it goes on and
// can be adopted. It returns ErrNotPinned for one that would be lost.
func (d *DataPlane) Release() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pins == nil {
		return fmt.Errorf("release data plane: %w", ErrNotPinned)
	}
	return d.letGo()
}

// letGo closes what the process has of the data plane, and nothing else.
func (d *DataPlane) letGo() error {
	var problems []error
	for _, l := range d.links {
		problems = append(problems, l.Close())
	}
	problems = append(problems, d.closeEntries(), d.objects.Close(), d.pins.lock.Close())
	d.links, d.devices, d.pins = nil, nil, nil
	return errors.Join(problems...)
}

// Unpin removes a data plane, or a part of one, that a process left pinned. Its
// program is detached then. It returns ErrHeld if that process is still there, and
// nil if nothing is pinned.
func Unpin(dir string) error {
	held, err := holdPins(dir)
	if errors.Is(err, ErrNotPinned) {
		return nil
	}
	if err == nil {
		err = errors.Join(removePins(dir), held.lock.Close())
	}
	if err != nil {
		return fmt.Errorf("unpin data plane in %s: %w", dir, err)
	}
	return nil
}

func (d *DataPlane) unpin() error {
	if d.pins == nil {
		return nil
	}
	err := errors.Join(removePins(d.pins.dir), d.pins.lock.Close())
	d.pins = nil
	return err
}

func holdPins(dir string) (*pins, error) {
	lock, err := os.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotPinned
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrHeld
		}
		return nil, errors.Join(err, lock.Close())
	}
	return &pins{dir: dir, lock: lock}, nil
}

// removePins removes what Pin makes, and the directory, which must have nothing
// else in it. Links come first: what is left after a crash is no data plane.
func removePins(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	isLink := func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), linkPrefix) }
	slices.SortStableFunc(entries, func(a, b os.DirEntry) int {
		switch {
		case isLink(a) == isLink(b):
			return 0
		case isLink(a):
			return -1
		}
		return 1
	})
	for _, e := range entries {
		_, isProgram := new(objects).programs()[e.Name()]
		isProgram = isProgram || e.Name() == prefetch.ProgramPin
		if !isLink(e) && !isProgram && !strings.HasPrefix(e.Name(), mapPin("")) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return os.Remove(dir)
}
