// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"dalio/spec/tla"
)

// maxLine bounds a line of TLC's, in bytes.
const maxLine = 16 << 20

// State is a state of a model: the messages in the network, and the rest.
type State struct {
	Messages tla.Set
	Rest     tla.Record
}

// String prints the state; it is the same for no two states.
func (s State) String() string { return s.Messages.String() + "\t" + s.Rest.String() }

// Value returns the state as a value, to be compared or renamed.
func (s State) Value() tla.Value { return tla.NewTuple(s.Messages, s.Rest) }

// Step is a step from some state: its name and arguments, and where it leads.
type Step struct {
	Act tla.Tuple
	To  State
}

// Name is the name of the step's action.
func (s Step) Name() string { return string(s.Act[0].(tla.String)) }

// Graph is the state graph of a model as TLC printed it, with the names and the
// arguments of the steps.
type Graph struct {
	// Calls has the calls that the clients may make, by client and number.
	Calls tla.Value
	// States are all states from which steps lead, and those that they lead to.
	// The first one is the initial state.
	States []State
	// Steps has the steps of each state, by its index. TLC prints some of them several
	// times, and they are here once.
	Steps [][]Step
	// Index has the index of each state, by what String gives.
	Index map[string]int
	// Generated counts the steps as TLC has printed them.
	Generated int

	seen map[string]bool // the steps of the state that is being read
}

// ReadGraph reads what a module such as DalioEdges.tla has TLC print.
func ReadGraph(in io.Reader) (*Graph, error) {
	g := &Graph{Index: map[string]int{}, seen: map[string]bool{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	from, number := -1, 0
	for lines.Scan() {
		number++
		var err error
		if from, err = g.line(lines.Text(), from); err != nil {
			return nil, fmt.Errorf("line %d of what TLC printed: %w", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read what TLC printed: %w", err)
	}
	if g.Calls == nil || len(g.States) == 0 {
		return nil, errors.New("TLC printed no calls, or no states")
	}
	return g, nil
}

// line takes in one line, where from is the index of the state that steps begin
// in, and returns that of the next line.
func (g *Graph) line(text string, from int) (int, error) {
	quoted, err := tla.Parse(text)
	if err != nil {
		return from, err
	}
	line, ok := quoted.(tla.String)
	if !ok {
		return from, fmt.Errorf("%.40s is not a string", text)
	}
	fields := strings.Split(string(line), "\t")
	values := make([]tla.Value, len(fields))
	for i, field := range fields[1:] {
		if field == "" {
			continue
		}
		if values[i+1], err = tla.Parse(field); err != nil {
			return from, err
		}
	}
	switch {
	case fields[0] == "CALLS" && len(fields) == 2:
		g.Calls = values[1]
		return from, nil
	case fields[0] == "FROM" && len(fields) == 3:
		clear(g.seen)
		return g.add(State{values[1].(tla.Set), values[2].(tla.Record)}), nil
	case fields[0] == "STEP" && len(fields) == 5 && from >= 0:
		to := g.States[from]
		added, taken := values[2].(tla.Set), values[3].(tla.Set)
		if len(added)+len(taken) > 0 {
			to.Messages = slices.DeleteFunc(to.Messages.Union(added), taken.Has)
		}
		if values[4] != nil {
			to.Rest = values[4].(tla.Record)
		}
		to = g.States[g.add(to)] // The same state is kept once.
		g.Generated++
		step := Step{values[1].(tla.Tuple), to}
		if key := step.key(); !g.seen[key] {
			g.seen[key] = true
			g.Steps[from] = append(g.Steps[from], step)
		}
		return from, nil
	}
	return from, fmt.Errorf("a line %q with %d parts is not expected here", fields[0], len(fields))
}

func (g *Graph) add(s State) int {
	key := s.String()
	if i, known := g.Index[key]; known {
		return i
	}
	i := len(g.States)
	g.Index[key] = i
	g.States, g.Steps = append(g.States, s), append(g.Steps, nil)
	return i
}

// different returns how many different steps there are.
func (g *Graph) different() int {
	n := 0
	for _, steps := range g.Steps {
		n += len(steps)
	}
	return n
}
