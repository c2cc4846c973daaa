// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"dalio/protocol"
)

// bench is a data plane whose program may be changed for a mutant of it.
type bench struct {
	setting setting
	dp      *DataPlane
	whole   *ebpf.Program
	spec    *ebpf.ProgramSpec
	maps    map[string]*ebpf.Map
	// counted has the counters as they were read last.
	counted counterSet
}

func newBench(s setting) (*bench, error) {
	spec, err := prepare(&s.options)
	if err != nil {
		return nil, err
	}
	all, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load data plane: %w", ExplainLoad(err))
	}
	b := &bench{setting: s, dp: &DataPlane{options: s.options}, maps: maps.Clone(all.Maps), spec: spec.Programs[coordinatorProgCoordinator]}
	o := &b.dp.objects
	if err := errors.Join(all.Assign(&o.coordinatorMaps), all.Assign(&o.coordinatorVariables), all.Assign(&o.coordinatorPrograms)); err != nil {
		return nil, err
	}
	b.whole = o.Coordinator
	return b, b.reset()
}

func (b *bench) close() error {
	b.dp.objects.Coordinator = b.whole
	return b.dp.Close()
}

// reset puts the whole program back.
func (b *bench) reset() (err error) {
	b.dp.objects.Coordinator = b.whole
	b.counted, err = b.dp.readCounters()
	return err
}

// load has the kernel take a program over the bench's tables.
func (b *bench) load(program asm.Instructions) (*ebpf.Program, error) {
	return loadOver(b.maps, b.spec, program)
}

// errRefused is returned for a program that the verifier refuses.
var errRefused = errors.New("the kernel's verifier refuses the program")

func loadOver(tables map[string]*ebpf.Map, spec *ebpf.ProgramSpec, program asm.Instructions) (*ebpf.Program, error) {
	// Without type information, which would tell the verifier nothing new.
	plain := make(asm.Instructions, len(program))
	for i, ins := range program {
		plain[i] = ins
		plain[i].Metadata = asm.Metadata{}
		if symbol := ins.Symbol(); symbol != "" {
			plain[i] = plain[i].WithSymbol(symbol)
		}
		if reference := ins.Reference(); reference != "" {
			plain[i] = plain[i].WithReference(reference)
		}
		if !ins.IsLoadFromMap() || ins.Reference() == "" {
			continue
		}
		if err := plain[i].AssociateMap(tables[ins.Reference()]); err != nil {
			return nil, err
		}
	}
	loaded, err := ebpf.NewProgramWithOptions(&ebpf.ProgramSpec{Type: ebpf.XDP, License: spec.License, Instructions: plain},
		ebpf.ProgramOptions{LogDisabled: true})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	return loaded, nil
}

// play hands over the occasion's frame in its state, and returns a complaint about
// what came of it.
func (b *bench) play(o *occasion) string {
	got, complaint := b.hand(o)
	if complaint != "" {
		return complaint
	}
	return b.compare(o, got)
}

// hand hands over the occasion's frame in its state, and returns what came of it, or a
// complaint.
func (b *bench) hand(o *occasion) (got protocol.Outcome, complaint string) {
	if o.panicked != nil {
		return got, fmt.Sprintf("the model panics: %v", o.panicked)
	}
	if err := b.dp.Restore(o.before); err != nil {
		return got, "restore: " + err.Error()
	}
	got, _, err := b.dp.run(o.frame, 0)
	if err != nil {
		return got, err.Error()
	}
	return got, ""
}

// compare returns what differs between the outcome of an occasion and what it must be.
func (b *bench) compare(o *occasion, got protocol.Outcome) string {
	after, err := b.dp.readCounters()
	if err != nil {
		return err.Error()
	}
	counted := after.minus(&b.counted)
	b.counted = after
	// Only what was counted tells these, and it is compared.
	got.Reason, got.Action = o.want.Reason, o.want.Action
	if complaint := counted.difference(o.counted); complaint != "" {
		return complaint
	}
	return differ(b.dp, clone(o.after), got, o.want)
}

func (c counterSet) minus(o *counterSet) counterSet {
	for _, pair := range [][2][]uint64{{c.Drops[:], o.Drops[:]}, {c.Actions[:], o.Actions[:]}, {c.Activities[:], o.Activities[:]}, {c.Reads[:], o.Reads[:]}} {
		for i := range pair[0] {
			pair[0][i] -= pair[1][i]
		}
	}
	return c
}

// nonces complains if multicasts that follow each other can't be told apart, or if
// what nobody reads is not clear.
func (b *bench) nonces() string {
	c, m := awaiting(0b110)
	o := corner(c, m, client(1))
	o.before.Lease = uint64(b.setting.options.Lease)
	if err := b.dp.Restore(o.before); err != nil {
		return err.Error()
	}
	seen := map[uint32]bool{}
	for range 2 * len(b.maps) {
		var out xdpContext
		run := &ebpf.RunOptions{Data: o.frame, DataOut: make([]byte, len(o.frame)+64), Context: xdpContext{DataEnd: uint32(len(o.frame))}, ContextOut: &out}
		if verdict, err := b.dp.objects.Coordinator.Run(run); err != nil || verdict != xdpRedirect {
			return fmt.Sprintf("verdict %d, %v", verdict, err)
		}
		nonce := binary.NativeEndian.Uint32(run.DataOut)
		if seen[nonce] || run.DataOut[6] != 0 || run.DataOut[7] != 0 {
			return fmt.Sprintf("multicast %d has the metadata %x", len(seen), run.DataOut[:8])
		}
		seen[nonce] = true
	}
	var err error
	b.counted, err = b.dp.readCounters()
	if err != nil {
		return err.Error()
	}
	return ""
}
