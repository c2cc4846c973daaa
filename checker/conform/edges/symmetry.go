// SPDX-License-Identifier: Apache-2.0

package edges

import "dalio/spec/tla"

// Counts says how many different steps a graph has.
type Counts struct {
	States int
	// Steps change the state and are the system's, and Network those that are the
	// network's or a fault's; Loops change nothing.
	Steps, Network, Loops int
	// Distinct counts those of Steps that are not others with the model values of
	// a symmetric set exchanged, and ByAction tells them apart by name.
	Distinct int
	ByAction map[string]int
}

// Count counts the steps of a graph. Symmetric lists sets of model values that may
// be exchanged; external says whether an action is not the system's.
func Count(g *Graph, symmetric [][]tla.Model, external func(action string) bool) Counts {
	c := Counts{States: len(g.States), ByAction: map[string]int{}}
	renamings := tla.Renamings(symmetric...)
	orbits := map[string]bool{} // The states, each for all that are like it.
	for i, s := range g.States {
		least, same := canonical(s, renamings)
		first := !orbits[least]
		orbits[least] = true
		distinct := map[string]bool{}
		for _, step := range g.Steps[i] {
			switch {
			case step.To.String() == s.String():
				c.Loops++
				continue
			case external(step.Name()):
				c.Network++
				continue
			}
			c.Steps++
			// Steps from a state that is like an earlier one are like steps from there.
			if key, act := step.key(), step.Name(); first && !distinct[key] {
				c.Distinct++
				c.ByAction[act]++
				for _, by := range same {
					distinct[step.renamed(by).key()] = true
				}
			}
		}
	}
	return c
}

func (s Step) key() string { return s.Act.String() + "\t" + s.To.String() }

func (s Step) renamed(by map[tla.Model]tla.Model) Step {
	return Step{tla.Rename(s.Act, by).(tla.Tuple), s.To.renamed(by)}
}

func (s State) renamed(by map[tla.Model]tla.Model) State {
	return State{tla.Rename(s.Messages, by).(tla.Set), tla.Rename(s.Rest, by).(tla.Record)}
}

// canonical returns the least of what the renamings make of a state, and those
// renamings that leave the state what it is.
func canonical(s State, renamings []map[tla.Model]tla.Model) (least string, same []map[tla.Model]tla.Model) {
	own := s.String()
	least = own
	for _, by := range renamings {
		renamed := s.renamed(by).String()
		if renamed < least {
			least = renamed
		}
		if renamed == own {
			same = append(same, by)
		}
	}
	return least, same
}
