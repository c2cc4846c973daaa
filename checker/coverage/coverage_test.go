// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"dalio/checker/coverage/instrument"
)

// TestJudge: whatever is not reached and not excused is a complaint, and so is an
// excuse of what is reached.
func TestJudge(t *testing.T) {
	at := func(line string) site { return site{"coordinator", "f", line, "taken"} }
	row := func(line string, n int, sometimes bool) excuse {
		return excuse{Function: "f", Line: line, Way: "taken", Sites: map[string]int{"coordinator": n}, Sometimes: sometimes, Why: "w"}
	}
	for _, c := range []struct {
		missed map[site]int
		list   []excuse
		says   string
	}{
		{map[site]int{at("a"): 2}, []excuse{row("a", 2, false)}, ""},
		{map[site]int{at("a"): 2}, []excuse{row("b", 2, true)}, "say in untaken.json"},
		{map[site]int{at("a"): 3}, []excuse{row("a", 2, false)}, "3 jumps, of which 2 are excused"},
		{map[site]int{at("a"): 3}, []excuse{row("a", 2, true)}, "3 jumps, of which 2 are excused"},
		{map[site]int{at("a"): 1}, []excuse{row("a", 2, false)}, "only 1 never"},
		{map[site]int{}, []excuse{row("a", 1, false)}, "only 0 never"},
		{map[site]int{at("a"): 1}, []excuse{row("a", 2, true)}, ""},
		{map[site]int{at("a"): 1}, []excuse{row("a", 1, false), row("a", 1, false)}, "excused twice"},
	} {
		got := strings.Join(judge(c.missed, c.list), "\n")
		if (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%v with %v: %q, want %q", c.missed, c.list, got, c.says)
		}
	}
}

// TestList: every row of the committed list is about a jump that there is, on a line
// that the sources have.
func TestList(t *testing.T) {
	list, err := readExcuses("untaken.json")
	if err != nil {
		t.Fatal(err)
	}
	all, err := readSources("../../bpf")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		for object, n := range e.Sites {
			there := 0
			for _, p := range untouched(t, object) {
				for _, b := range p.plan.Branches {
					if at := p.places[b.At]; all.function(at) == e.Function && all.text(at) == e.Line {
						there++
					}
				}
			}
			if there < n {
				t.Errorf("%s, %q: the object %s has %d jumps there, %d are excused", e.Function, e.Line, object, there, n)
			}
		}
	}
}

// untouched returns the programs of an object as if nothing had run.
func untouched(t *testing.T, object string) []*program {
	t.Helper()
	path := "../../bpf/" + object + "_bpfel.o"
	spec, err := ebpf.LoadCollectionSpec(path)
	if err != nil {
		t.Fatal(err)
	}
	size, err := instrument.Size(spec)
	if err != nil {
		t.Fatal(err)
	}
	programs, err := readPrograms(object, path, make([]uint64, size))
	if err != nil {
		t.Fatal(err)
	}
	return programs
}

// TestEveryLineHasAFunction: the object's lines are those of the sources.
func TestEveryLineHasAFunction(t *testing.T) {
	all, err := readSources("../../bpf")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		for _, p := range untouched(t, object) {
			i := slices.IndexFunc(p.places, func(at place) bool { return all.function(at) == "(none)" })
			if i >= 0 {
				t.Errorf("instruction %d of %s in %s is of line %v, which is in no function", i, p.name, object, p.places[i])
			}
		}
	}
}

func TestCountersOfAnotherObject(t *testing.T) {
	for _, n := range []int{0, 10, 100_000} {
		if _, err := readPrograms("coordinator", "../../bpf/coordinator_bpfel.o", make([]uint64, n)); err == nil {
			t.Errorf("%d counters are taken for those of the object", n)
		}
	}
}
