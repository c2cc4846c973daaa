// SPDX-License-Identifier: Apache-2.0

package pairs

import (
	"fmt"

	"dalio/spec/tla"
)

// symmetry tells which pairs of a model are the same but for the names of replicas
// and slots.
type symmetry struct {
	renamings []map[tla.Model]tla.Model
	// image has, for each renaming, the packet that each packet becomes, as a number
	// that it has in all models.
	image [][]int
	// constants are what else makes pairs of two models different.
	constants string
}

// register knows all pairs that were run: for the text of a state, the packets.
type register struct {
	numbers map[string]int
	seen    map[string]map[int]bool
}

func newRegister() *register {
	return &register{numbers: map[string]int{}, seen: map[string]map[int]bool{}}
}

func (r *register) number(packet string) int {
	n, ok := r.numbers[packet]
	if !ok {
		n = len(r.numbers)
		r.numbers[packet] = n
	}
	return n
}

// newSymmetry returns the symmetry of a model with these packets.
func (r *register) newSymmetry(packets []tla.Record, replicas, slots []tla.Model, lease uint64) *symmetry {
	s := &symmetry{constants: fmt.Sprint(replicas, slots, lease)}
	for _, p := range permutations(replicas) {
		for _, q := range permutations(slots) {
			by := map[tla.Model]tla.Model{}
			for i := range replicas {
				by[replicas[i]] = p[i]
			}
			for i := range slots {
				by[slots[i]] = q[i]
			}
			s.renamings = append(s.renamings, by)
			image := make([]int, len(packets))
			for i, packet := range packets {
				image[i] = r.number(rename(packet, by).String())
			}
			s.image = append(s.image, image)
		}
	}
	return s
}

func permutations(of []tla.Model) [][]tla.Model {
	if len(of) == 0 {
		return [][]tla.Model{nil}
	}
	var all [][]tla.Model
	for i, first := range of {
		rest := append(append([]tla.Model{}, of[:i]...), of[i+1:]...)
		for _, p := range permutations(rest) {
			all = append(all, append([]tla.Model{first}, p...))
		}
	}
	return all
}

// form returns the one text that a state shares with those that are the same but for
// names, and the renamings that lead to it.
func (s *symmetry) form(state tla.Record) (text string, by []int) {
	for i, renaming := range s.renamings {
		switch t := rename(state, renaming).String(); {
		case text == "" || t < text:
			text, by = t, []int{i}
		case t == text:
			by = append(by, i)
		}
	}
	return text, by
}

// enter notes the pairs of a state, and says which are new: all others are the same
// as one before but for names, or were met in another model.
func (r *register) enter(s *symmetry, state tla.Record, packets int) (fresh []bool) {
	text, by := s.form(state)
	text = s.constants + text
	seen := r.seen[text]
	if seen == nil {
		seen = map[int]bool{}
		r.seen[text] = seen
	}
	fresh = make([]bool, packets)
	for i := range packets {
		first := s.image[by[0]][i]
		for _, b := range by[1:] {
			first = min(first, s.image[b][i])
		}
		fresh[i] = !seen[first]
		seen[first] = true
	}
	return fresh
}

// rename replaces the names of replicas and slots.
func rename(v tla.Value, by map[tla.Model]tla.Model) tla.Value {
	all := func(values []tla.Value) []tla.Value {
		out := make([]tla.Value, len(values))
		for i, v := range values {
			out[i] = rename(v, by)
		}
		return out
	}
	switch v := v.(type) {
	case tla.Model:
		if to, ok := by[v]; ok {
			return to
		}
	case tla.Tuple:
		return tla.Tuple(all(v))
	case tla.Set:
		return tla.NewSet(all(v)...)
	case tla.Record:
		out := make(tla.Record, len(v))
		for i, f := range v {
			out[i] = tla.Field{Name: f.Name, Value: rename(f.Value, by)}
		}
		return out
	case tla.Function:
		out := make([]tla.Pair, len(v))
		for i, p := range v {
			out[i] = tla.Pair{Key: rename(p.Key, by), Value: rename(p.Value, by)}
		}
		return tla.NewFunction(out...)
	}
	return v
}
