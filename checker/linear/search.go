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
func search(ctx context.Context, mem *memory, ops []op, values int) verdict {
	states := boxed(values)
	steps, stopped := 0, false
	model := porcupine.Model{
		Init: func() any { return states[absent] },
		// Porcupine cannot be cancelled from outside and keeps every state it
		// has seen. Once stopped, no step is possible, so that its search
		// unwinds at once; what it then answers is not used.
		Step: func(state, input, _ any) (bool, any) {
			if steps++; steps%checkEvery == 0 && (ctx.Err() != nil || mem.exhausted()) {
				stopped = true
			}
			o := input.(*op)
			switch {
			case stopped:
				return false, nil
			case o.write:
				return true, states[o.value]
			default:
				return state.(int32) == o.value, state
			}
		},
		Hash: func(state any) uint64 { return uint64(state.(int32)) * 0x9e3779b97f4a7c15 },
	}
	if ctx.Err() != nil {
		return undecided
	}
	ok := porcupine.CheckOperations(model, operations(ops))
	switch {
	case stopped:
		return undecided
	case ok:
		return legal
	default:
		return illegal
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

// boxed returns each state as an interface value once, so that a step
// allocates nothing.
func boxed(values int) []any {
	states := make([]any, values)
	for v := range states {
		states[v] = int32(v)
	}
	return states
}
