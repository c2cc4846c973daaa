// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"dalio/checker/coverage/instrument"
)

// place is a line of a source file, by the object's type information.
type place struct {
	file string // without its folder
	line int
}

// program is one program of an object, with what its counters said.
type program struct {
	object, name string
	plan         *instrument.Plan
	hits         instrument.Hits
	places       []place // of each instruction
}

// readPrograms reads the programs of an object, and gives each its counters.
func readPrograms(object, path string, counters []uint64) ([]*program, error) {
	spec, err := ebpf.LoadCollectionSpec(path)
	if err != nil {
		return nil, fmt.Errorf("read BPF object %s: %w", path, err)
	}
	var programs []*program
	for _, name := range instrument.Names(spec) {
		instructions := spec.Programs[name].Instructions
		plan, err := instrument.Analyze(instructions)
		if err != nil {
			return nil, fmt.Errorf("program %s of %s: %w", name, path, err)
		}
		if plan.Counters > len(counters) {
			return nil, fmt.Errorf("the tests left %d counters for program %s of %s, which has %d: they ran another object",
				len(counters), name, path, plan.Counters)
		}
		p := &program{object: object, name: name, plan: plan, hits: plan.Hits(counters[:plan.Counters]), places: placesOf(instructions)}
		counters = counters[plan.Counters:]
		programs = append(programs, p)
	}
	if len(counters) != 0 {
		return nil, fmt.Errorf("the tests left %d counters more than %s has", len(counters), path)
	}
	return programs, nil
}

// placesOf gives an instruction that has no line of its own that of the one before.
func placesOf(instructions asm.Instructions) []place {
	places := make([]place, len(instructions))
	for i := range instructions {
		if line, ok := instructions[i].Source().(*btf.Line); ok {
			places[i] = place{filepath.Base(line.FileName()), int(line.LineNumber())}
		} else if i > 0 {
			places[i] = places[i-1]
		}
	}
	return places
}

// way is one direction of a branch that no run has gone, though runs have come to it.
// All that never ran lies behind one.
type way struct {
	taken bool
	place place
}

// missed returns the ways not gone, in the order of the program.
func (p *program) missed() (ways []way) {
	for i, b := range p.plan.Branches {
		if p.hits.Blocks[b.Block] == 0 {
			continue
		}
		if p.hits.Taken[i] == 0 {
			ways = append(ways, way{true, p.places[b.At]})
		}
		if p.hits.NotTaken[i] == 0 {
			ways = append(ways, way{false, p.places[b.At]})
		}
	}
	return ways
}
