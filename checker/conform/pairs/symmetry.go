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
	s := &symmetry{renamings: tla.Renamings(replicas, slots), constants: fmt.Sprint(replicas, slots, lease)}
	for _, by := range s.renamings {
		image := make([]int, len(packets))
		for i, packet := range packets {
			image[i] = r.number(tla.Rename(packet, by).String())
		}
		s.image = append(s.image, image)
	}
	return s
}

// form returns the one text that a state shares with those that are the same but for
// names, and the renamings that lead to it.
func (s *symmetry) form(state tla.Record) (text string, by []int) {
	for i, renaming := range s.renamings {
		switch t := tla.Rename(state, renaming).String(); {
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
