// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"context"

	"github.com/anishathalye/porcupine"
)

// checkEvery is how many steps of a search pass between looks at the clock
// and the memory.
const checkEvery = 1 << 12

// search judges operations with Porcupine. It is undecided when the context
// ends or the memory runs out first.
func (j *judge) search(ctx context.Context, ops []op) verdict {
	if ctx.Err() != nil {
		return undecided
	}
	j.mem.searches.Add(1)
	defer j.mem.searches.Add(-1)
	m := model(j.values)
	step := m.Step
	steps, stopped := 0, false
	// Porcupine cannot be cancelled from outside and keeps every state it has
	// seen. Once stopped, no step is possible, so that its search unwinds at
	// once; what it then answers is not used.
	m.Step = func(state, input, output any) (bool, any) {
		if steps++; !stopped && steps%checkEvery == 0 {
			stopped = ctx.Err() != nil
			if !stopped && j.mem.exhausted() {
				stopped = true
				j.crowded = j.mem.searches.Load() > 1
			}
		}
		if stopped {
			return false, nil
		}
		return step(state, input, output)
	}
	ok := porcupine.CheckOperations(m, operations(ops))
	switch {
	case stopped:
		return undecided
	case ok:
		return legal
	default:
		return illegal
	}
}

// model returns Porcupine's model of a register. Its states are the numbers of
// the values, boxed once so that a step allocates nothing.
func model(values int) porcupine.Model {
	states := make([]any, values)
	for v := range states {
		states[v] = int32(v)
	}
	return porcupine.Model{
		Init: func() any { return states[absent] },
		Step: func(state, input, _ any) (bool, any) {
			o := input.(*op)
			if o.write {
				return true, states[o.value]
			}
			return state.(int32) == o.value, state
		},
		Hash: func(state any) uint64 { return uint64(state.(int32)) * 0x9e3779b97f4a7c15 },
	}
}

// operations converts to Porcupine's form. Its intervals are closed, as ours.
// It takes a call without a return for illegal: an operation of unknown
// outcome returns at the end of time instead.
func operations(ops []op) []porcupine.Operation {
	out := make([]porcupine.Operation, len(ops))
	for i := range ops {
		out[i] = porcupine.Operation{
			ClientId: i, Input: &ops[i], Call: ops[i].call, Return: ops[i].ret,
		}
	}
	return out
}
