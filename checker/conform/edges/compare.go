// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"dalio/spec/tla"
)

// Machine is what is to conform to a module: it knows only the code.
type Machine interface {
	// Initial returns the state in which everything begins.
	Initial() (State, error)
	// Successors returns every step that the code takes from a state, whatever its
	// environment does: which messages arrive, what clients want, what is drawn at
	// random. A step may be there more than once. It may be called at the same time
	// for several states.
	Successors(State) ([]Step, error)
}

// Difference is where code and specification part.
type Difference struct{ told []string }

func (d *Difference) Error() string { return strings.Join(d.told, "\n") }

// maxShown is how many differences are told.
const maxShown = 3

// Compare takes, in every state of the graph, every step that the code can take
// there, and expects exactly those of the graph, arguments and all. Steps that
// change nothing are left out on both sides. It returns an error that tells the
// first differences.
func Compare(g *Graph, m Machine) error {
	var mu sync.Mutex
	var wrong []string
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(g.States) {
					return
				}
				found := compareState(g, m, i)
				mu.Lock()
				wrong = append(wrong, found...)
				enough := len(wrong) >= maxShown
				mu.Unlock()
				if enough {
					next.Store(int64(len(g.States)))
				}
			}
		})
	}
	workers.Wait()
	if len(wrong) == 0 {
		return nil
	}
	return &Difference{wrong[:min(len(wrong), maxShown)]}
}

func compareState(g *Graph, m Machine, i int) []string {
	from := g.States[i]
	taken, err := m.Successors(from)
	if err != nil {
		return []string{fmt.Sprintf("in the state\n%s%v", Show(from), err)}
	}
	specified, coded := byAct(from, g.Steps[i]), byAct(from, taken)
	var wrong []string
	for _, act := range slices.Sorted(maps.Keys(specified)) {
		for key, want := range specified[act] {
			if _, ok := coded[act][key]; !ok {
				wrong = append(wrong, explain(from, "the specification takes this step, and the code does not", want, coded[act]))
			}
		}
	}
	for _, act := range slices.Sorted(maps.Keys(coded)) {
		for key, got := range coded[act] {
			// A pair of which one is missing has been told of above.
			if _, ok := specified[act][key]; !ok && len(specified[act]) == 0 {
				wrong = append(wrong, explain(from, "the code takes this step, and the specification does not", got, nil))
			} else if !ok && len(wrong) == 0 {
				wrong = append(wrong, explain(from, "the code takes this step another way than the specification", got, specified[act]))
			}
		}
	}
	return wrong
}

// byAct sorts steps that change something by name and arguments, and by where
// they lead.
func byAct(from State, steps []Step) map[string]map[string]Step {
	sorted := map[string]map[string]Step{}
	source := from.String()
	for _, s := range steps {
		key := s.To.String()
		if key == source {
			continue
		}
		act := s.Act.String()
		if sorted[act] == nil {
			sorted[act] = map[string]Step{}
		}
		sorted[act][key] = s
	}
	return sorted
}

// explain names the step, where it begins, and how it differs from the nearest of
// the others, or else from doing nothing.
func explain(from State, what string, step Step, others map[string]Step) string {
	nearest, than := tla.Diff(step.To.Value(), from.Value()), "Where it leads, compared with where it begins"
	if len(others) > 0 {
		nearest = nil
		than = "Where it leads, compared with where the other one does"
	}
	for _, other := range others {
		if d := tla.Diff(step.To.Value(), other.To.Value()); nearest == nil || len(d) < len(nearest) {
			nearest = d
		}
	}
	return fmt.Sprintf("%s: %s\n  arguments %s\n%s  %s:\n    %s\n", step.Name(), what, step.Act[1:], Show(from), than,
		strings.Join(readable(nearest), "\n    "))
}

// readable gives the two halves of a state their names.
func readable(lines []string) []string {
	named := make([]string, len(lines))
	for i, line := range lines {
		if rest, ok := strings.CutPrefix(line, "[1] "); ok {
			line = "the messages: " + rest
		}
		named[i] = strings.TrimPrefix(line, "[2].")
	}
	return named
}

// Show prints a state, a line for each message and variable.
func Show(s State) string {
	var out strings.Builder
	for _, m := range s.Messages {
		fmt.Fprintf(&out, "  message %s\n", m)
	}
	for _, f := range s.Rest {
		fmt.Fprintf(&out, "  %s = %s\n", f.Name, f.Value)
	}
	return out.String()
}

// Search finds the states that the code reaches by itself, beginning with its
// initial state, and expects exactly those of the graph.
func Search(g *Graph, m Machine) error {
	first, err := m.Initial()
	if err != nil {
		return err
	}
	if first.String() != g.States[0].String() {
		return fmt.Errorf("the code begins in another state than the specification:\n  %s",
			strings.Join(readable(tla.Diff(first.Value(), g.States[0].Value())), "\n  "))
	}
	seen, err := reach(m, func(key string, s Step) error {
		if _, known := g.Index[key]; !known {
			return fmt.Errorf("%s %s leads the code to a state that the specification never reaches:\n%s", s.Name(), s.Act[1:], Show(s.To))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, s := range g.States {
		if !seen[s.String()] {
			return fmt.Errorf("the code never reaches this state, number %d of the specification:\n%s", i+1, Show(s))
		}
	}
	return nil
}

// Reach returns how many states the code reaches by itself.
func Reach(m Machine) (int, error) {
	seen, err := reach(m, func(string, Step) error { return nil })
	return len(seen), err
}

// reach searches breadth first, and calls found for each step to a state that is new.
func reach(m Machine, found func(key string, s Step) error) (seen map[string]bool, err error) {
	first, err := m.Initial()
	if err != nil {
		return nil, err
	}
	seen = map[string]bool{first.String(): true}
	for frontier := []State{first}; len(frontier) > 0; {
		reached, err := expand(m, frontier)
		if err != nil {
			return nil, err
		}
		frontier = nil
		for _, steps := range reached {
			for _, s := range steps {
				key := s.To.String()
				if seen[key] {
					continue
				}
				if err := found(key, s); err != nil {
					return nil, err
				}
				seen[key] = true
				frontier = append(frontier, s.To)
			}
		}
	}
	return seen, nil
}

// expand returns the steps from each of the states, which it looks at side by side.
func expand(m Machine, states []State) ([][]Step, error) {
	steps, problems := make([][]Step, len(states)), make([]error, len(states))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(states); i = int(next.Add(1)) - 1 {
				steps[i], problems[i] = m.Successors(states[i])
			}
		})
	}
	workers.Wait()
	for i, err := range problems {
		if err != nil {
			return nil, fmt.Errorf("in the state\n%s%w", Show(states[i]), err)
		}
	}
	return steps, nil
}
