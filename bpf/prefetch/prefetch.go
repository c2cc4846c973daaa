// SPDX-License-Identifier: Apache-2.0

package prefetch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Names of what Pin makes, in the folder that it is given.
const (
	ProgramPin = "prefetch"
	MapPin     = "map_prefetch"
)

// ErrHandler is returned by LoadPinned when what is pinned leads to another program.
var ErrHandler = errors.New("the pinned program that fetches ahead leads to another program")

// Program runs in front of another one. The caller must Close it.
type Program struct {
	objects prefetchObjects
}

// Load loads the program in front of the one given, which handles the frames. It returns
// what the kernel said if that can't be done there.
func Load(handler *ebpf.Program) (*Program, error) {
	p, err := load(handler)
	if err != nil {
		return nil, fmt.Errorf("load the program that fetches ahead: %w", err)
	}
	return p, nil
}

func load(handler *ebpf.Program) (*Program, error) {
	targets, err := vethTypes()
	if err != nil {
		return nil, err
	}
	p := &Program{}
	options := ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{ExtraRelocationTargets: targets}}
	if err := loadPrefetchObjects(&p.objects, &options); err != nil {
		return nil, err
	}
	if err := p.objects.Handler.Put(uint32(0), handler); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// vethTypes returns the types of the driver, if it is a module: else they are among the
// kernel's own.
func vethTypes() ([]*btf.Spec, error) {
	types, err := btf.LoadKernelModuleSpec("veth")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []*btf.Spec{types}, nil
}

// Program is what is to be attached to a veth device in native mode, in the place of the
// program that handles the frames.
func (p *Program) Program() *ebpf.Program { return p.objects.Prefetch }

// Pin has it outlive the process, as it must if what it is attached by does: without its
// map it would lead nowhere.
func (p *Program) Pin(dir string) error {
	return errors.Join(p.objects.Handler.Pin(filepath.Join(dir, MapPin)), p.objects.Prefetch.Pin(filepath.Join(dir, ProgramPin)))
}

// LoadPinned returns what Pin has left in front of the program given. It returns
// [os.ErrNotExist] if that is nothing or a part only, and ErrHandler if it leads elsewhere.
func LoadPinned(dir string, handler *ebpf.Program) (*Program, error) {
	p := &Program{}
	err := p.readPins(dir)
	if err == nil {
		err = p.leadsTo(handler)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Program) readPins(dir string) (err error) {
	if p.objects.Prefetch, err = ebpf.LoadPinnedProgram(filepath.Join(dir, ProgramPin), nil); err != nil {
		return err
	}
	p.objects.Handler, err = ebpf.LoadPinnedMap(filepath.Join(dir, MapPin), nil)
	return err
}

func (p *Program) leadsTo(handler *ebpf.Program) error {
	var at uint32
	if err := p.objects.Handler.Lookup(uint32(0), &at); err != nil {
		return fmt.Errorf("%w (%w)", ErrHandler, err)
	}
	info, err := handler.Info()
	if err != nil {
		return err
	}
	if id, _ := info.ID(); ebpf.ProgramID(at) != id {
		return fmt.Errorf("%w: %d, not %d", ErrHandler, at, id)
	}
	return nil
}

// Close closes it. What is attached or pinned stays.
func (p *Program) Close() error { return p.objects.Close() }
