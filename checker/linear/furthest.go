// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"slices"

	"github.com/anishathalye/porcupine"
)

// Bounds on what a page can show.
const (
	maxOrdered = 20
	maxContext = 30
)

// furthest returns a longest legal order of some of the core's operations, and
// those of which one would have to come next, though the value forbids it.
func (r *register) furthest(core []op) ([]Step, []int) {
	if len(core) > maxOrdered {
		return nil, nil
	}
	_, info := porcupine.CheckOperationsVerbose(model(len(r.values)), operations(core), 0)
	longest := []int{}
	for _, partial := range info.PartialLinearizations()[0] {
		// Porcupine returns them in random order.
		if len(partial) > len(longest) || len(partial) == len(longest) && slices.Compare(partial, longest) < 0 {
			longest = partial
		}
	}
	steps := make([]Step, len(longest))
	placed := make([]bool, len(core))
	value := int32(absent)
	for n, i := range longest {
		value, placed[i] = core[i].value, true
		steps[n] = Step{Index: i, Value: r.exportValue(value)}
	}
	return steps, stuck(core, placed)
}

// stuck returns the operations not placed that no other such one precedes.
func stuck(core []op, placed []bool) []int {
	var next []int
	for i := range core {
		ready := !placed[i]
		for k := range core {
			if !placed[k] && before(&core[k], &core[i]) {
				ready = false
			}
		}
		if ready {
			next = append(next, i)
		}
	}
	return next
}

// context returns the operations on the key, apart from the core, that a
// person may ask about: failed writes of values in the core, then those
// closest in time to where it goes wrong.
func (r *register) context(core []op, stuck []int) []op {
	at := core[len(core)-1]
	if len(stuck) > 0 {
		at = core[stuck[0]]
	}
	inCore := make(map[int32]bool)
	values := make(map[int32]bool)
	for i := range core {
		inCore[core[i].index] = true
		values[core[i].value] = true
	}
	var others []op
	for i := range r.ops {
		if !inCore[r.ops[i].index] {
			others = append(others, r.ops[i])
		}
	}
	distance := func(o *op) int64 {
		if o.write && o.outcome == failed && values[o.value] {
			return -1
		}
		if o.outcome == unknown {
			return max(o.call-at.ret, at.call-o.call, 0)
		}
		return max(o.call-at.ret, at.call-o.ret, 0)
	}
	slices.SortStableFunc(others, func(a, b op) int {
		da, db := distance(&a), distance(&b)
		switch {
		case da < db:
			return -1
		case da > db:
			return 1
		}
		return 0
	})
	others = others[:min(len(others), maxContext)]
	slices.SortFunc(others, func(a, b op) int { return int(a.index - b.index) })
	return others
}

// exportValue returns a value as reports show it.
func (r *register) exportValue(value int32) *string {
	if value == absent {
		return nil
	}
	return &r.values[value]
}
