// SPDX-License-Identifier: Apache-2.0

package eval

import (
	"slices"

	"dalio/spec/proof/logic"
)

// Altered is a state that differs from s in one value of sym. Seed chooses which.
func (s *State) Altered(sym *logic.Symbol, seed int) *State {
	t, i := s.Fork(), s.index[sym]
	if sym.Sort != logic.Bool {
		t.functions[i] = slices.Clone(s.functions[i])
		at := seed % len(t.functions[i])
		t.functions[i][at] = (t.functions[i][at] + 1) % int32(s.Size(sym.Sort))
		return t
	}
	t.relations[i] = slices.Clone(s.relations[i])
	if n := len(t.relations[i]); n > 0 && seed%2 == 0 {
		at := seed / 2 % n
		t.relations[i] = slices.Delete(t.relations[i], at, at+1)
		return t
	}
	args := make([]int, len(sym.Args))
	for j, a := range sym.Args {
		args[j] = (seed + j) % s.Size(a)
	}
	t.Set(sym.Name, 1-t.Get(sym.Name, args...), args...)
	return t
}
