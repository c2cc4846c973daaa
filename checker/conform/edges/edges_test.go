// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"fmt"
	"strings"
	"testing"

	"dalio/spec/tla"
)

// printed is a graph of two replicas, each of which may be told something once, by a
// message that may be lost.
const printed = `"CALLS\t[a |-> <<>>]"
"FROM\t{}\t[has |-> {}]"
"STEP\t<<\"Tell\", r1>>\t{r1}\t{}\t"
"STEP\t<<\"Tell\", r2>>\t{r2}\t{}\t"
"FROM\t{r1}\t[has |-> {}]"
"STEP\t<<\"Tell\", r2>>\t{r2}\t{}\t"
"STEP\t<<\"Hear\", r1>>\t{}\t{r1}\t[has |-> {r1}]"
"STEP\t<<\"Lose\", r1>>\t{}\t{r1}\t"
"FROM\t{r2}\t[has |-> {}]"
"STEP\t<<\"Tell\", r1>>\t{r1}\t{}\t"
"STEP\t<<\"Hear\", r2>>\t{}\t{r2}\t[has |-> {r2}]"
"STEP\t<<\"Lose\", r2>>\t{}\t{r2}\t"
"FROM\t{r1, r2}\t[has |-> {}]"
"STEP\t<<\"Hear\", r1>>\t{}\t{r1}\t[has |-> {r1}]"
"STEP\t<<\"Hear\", r2>>\t{}\t{r2}\t[has |-> {r2}]"
"STEP\t<<\"Lose\", r1>>\t{}\t{r1}\t"
"STEP\t<<\"Lose\", r2>>\t{}\t{r2}\t"
"STEP\t<<\"Tell\", r1>>\t{}\t{}\t"
`

func graph(t *testing.T, text string) *Graph {
	t.Helper()
	g, err := ReadGraph(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// fake is a machine that takes the steps of a graph, but for those that it alters.
type fake struct {
	g     *Graph
	alter func(from State, steps []Step) []Step
}

func (f fake) Initial() (State, error) { return f.g.States[0], nil }

func (f fake) Successors(s State) ([]Step, error) {
	i, known := f.g.Index[s.String()]
	if !known {
		return nil, fmt.Errorf("no such state")
	}
	steps := append([]Step(nil), f.g.Steps[i]...)
	if f.alter != nil {
		steps = f.alter(s, steps)
	}
	return steps, nil
}

func TestGraphIsRead(t *testing.T) {
	g := graph(t, printed)
	// Two states have no step: their successors were printed by nobody.
	if len(g.States) != 8 {
		t.Errorf("%d states are read, want 8: %v", len(g.States), g.States)
	}
	if err := Compare(g, fake{g: g}); err != nil {
		t.Error(err)
	}
	if err := Search(g, fake{g: g}); err != nil {
		t.Error(err)
	}
	if n, err := Reach(fake{g: g}); err != nil || n != len(g.States) {
		t.Errorf("%d states are reached: %v", n, err)
	}
}

func TestGraphIsReadStrictly(t *testing.T) {
	for _, text := range []string{"", printed[:40], "EDGE\n", `"STEP\t<<>>\t{}\t{}\t"` + "\n", `"FROM\t{}"` + "\n", `"FROM\t{}\t[x |-> "` + "\n"} {
		if _, err := ReadGraph(strings.NewReader(text)); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

func TestDifferencesAreTold(t *testing.T) {
	g := graph(t, printed)
	hears := func(s Step) bool { return s.Act.String() == `<<"Hear", r2>>` }
	for name, c := range map[string]struct {
		alter func(from State, steps []Step) []Step
		want  []string
	}{
		"a step less": {func(_ State, steps []Step) (left []Step) {
			for _, s := range steps {
				if !hears(s) {
					left = append(left, s)
				}
			}
			return left
		}, []string{"Hear: the specification takes this step, and the code does not", "arguments <<r2>>", "message r2", "has = {}", "has has r2, and should not"}},
		"a step more": {func(from State, steps []Step) []Step {
			return append(steps, Step{tla.NewTuple(tla.String("Guess"), tla.Int(1)), State{nil, g.States[len(g.States)-1].Rest}})
		}, []string{"Guess: the code takes this step, and the specification does not", "arguments <<1>>"}},
		"another target": {func(_ State, steps []Step) []Step {
			for i, s := range steps {
				if hears(s) {
					steps[i].To.Rest = s.To.Rest.With("has", tla.NewSet(tla.Model("r1")))
				}
			}
			return steps
		}, []string{"Hear: the specification takes this step", "has lacks r1"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := Compare(g, fake{g, c.alter})
			if err == nil {
				t.Fatal("nothing is noticed")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message says nothing of %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestSearchFindsStatesThatDiffer(t *testing.T) {
	g := graph(t, printed)
	never := func(State, []Step) []Step { return nil }
	if err := Search(g, fake{g, never}); err == nil || !strings.Contains(err.Error(), "never reaches") {
		t.Errorf("a code that does nothing reaches all: %v", err)
	}
	beyond := func(_ State, steps []Step) []Step {
		return append(steps, Step{tla.NewTuple(tla.String("Leap")), State{nil, g.States[0].Rest.With("has", tla.NewSet(tla.Model("r3")))}})
	}
	if err := Search(g, fake{g, beyond}); err == nil || !strings.Contains(err.Error(), "the specification never reaches") {
		t.Errorf("a state too many is not noticed: %v", err)
	}
}

func TestCounts(t *testing.T) {
	g := graph(t, printed)
	c := Count(g, [][]tla.Model{{"r1", "r2"}}, func(action string) bool { return action == "Lose" })
	// Different are: the first telling, the second one, and hearing with and without
	// the other message under way.
	if c.Loops != 1 || c.Network != 4 || c.Steps != 8 || c.Distinct != 4 || c.ByAction["Hear"] != 2 {
		t.Errorf("counted: %+v", c)
	}
}
