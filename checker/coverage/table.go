// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// tally is how much there is of something, and how much of it was reached.
type tally struct{ blocks, blocksRun, ways, waysGone int }

func (t *tally) add(o tally) {
	t.blocks, t.blocksRun = t.blocks+o.blocks, t.blocksRun+o.blocksRun
	t.ways, t.waysGone = t.ways+o.ways, t.waysGone+o.waysGone
}

// block counts a block that ran so often.
func (t *tally) block(runs uint64) {
	t.blocks++
	if runs > 0 {
		t.blocksRun++
	}
}

// branch counts the two ways of a conditional jump, which were gone so often.
func (t *tally) branch(taken, notTaken uint64) {
	t.ways += 2
	for _, n := range []uint64{taken, notTaken} {
		if n > 0 {
			t.waysGone++
		}
	}
}

// tallies counts by C function, and of each program as a whole. A block counts for
// the function of its first instruction, a branch for that of its jump.
func (p *program) tallies(all sources) (functions map[string]*tally, whole tally) {
	functions = map[string]*tally{}
	at := func(i int) *tally {
		name := all.function(p.places[i])
		if functions[name] == nil {
			functions[name] = &tally{}
		}
		return functions[name]
	}
	for i, b := range p.plan.Blocks {
		at(b.First).block(p.hits.Blocks[i])
	}
	for i, b := range p.plan.Branches {
		at(b.At).branch(p.hits.Taken[i], p.hits.NotTaken[i])
	}
	for _, t := range functions {
		whole.add(*t)
	}
	return functions, whole
}

// writeTable prints a line for each function of each program.
func writeTable(w io.Writer, programs []*program, all sources) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "object\tprogram\tfunction\tblocks run\tof\tways gone\tof\t")
	for _, p := range programs {
		functions, whole := p.tallies(all)
		var names []string
		for name := range functions {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			t := functions[name]
			fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t\n", p.object, p.name, name, t.blocksRun, t.blocks, t.waysGone, t.ways)
		}
		fmt.Fprintf(out, "%s\t%s\tall\t%d\t%d\t%d\t%d\t\n", p.object, p.name, whole.blocksRun, whole.blocks, whole.waysGone, whole.ways)
	}
	return out.Flush()
}
