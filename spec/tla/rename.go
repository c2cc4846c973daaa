// SPDX-License-Identifier: Apache-2.0

package tla

import (
	"maps"
	"slices"
)

// Rename returns the value with model values replaced by others, wherever they
// stand.
func Rename(v Value, by map[Model]Model) Value {
	switch v := v.(type) {
	case Model:
		if to, ok := by[v]; ok {
			return to
		}
	case Tuple:
		return Tuple(renameAll(v, by))
	case Set:
		return NewSet(renameAll(v, by)...)
	case Record:
		renamed := make(Record, len(v))
		for i, f := range v {
			renamed[i] = Field{f.Name, Rename(f.Value, by)}
		}
		return renamed
	case Function:
		renamed := make([]Pair, len(v))
		for i, p := range v {
			renamed[i] = Pair{Rename(p.Key, by), Rename(p.Value, by)}
		}
		return NewFunction(renamed...)
	}
	return v
}

func renameAll(values []Value, by map[Model]Model) []Value {
	renamed := make([]Value, len(values))
	for i, v := range values {
		renamed[i] = Rename(v, by)
	}
	return renamed
}

// Renamings returns every way to exchange the values within each of the sets. The
// first one leaves all of them what they are.
func Renamings(sets ...[]Model) []map[Model]Model {
	all := []map[Model]Model{{}}
	for _, set := range sets {
		var longer []map[Model]Model
		for _, by := range all {
			Orders(set, func(order []Model) {
				more := maps.Clone(by)
				for i, v := range set {
					more[v] = order[i]
				}
				longer = append(longer, more)
			})
		}
		all = longer
	}
	return all
}

// Orders calls do with each order of the values, the given one first.
func Orders(values []Model, do func([]Model)) { orders(values, nil, do) }

func orders(values, chosen []Model, do func([]Model)) {
	if len(chosen) == len(values) {
		do(chosen)
		return
	}
	for _, v := range values {
		if !slices.Contains(chosen, v) {
			orders(values, append(slices.Clip(chosen), v), do)
		}
	}
}
