// SPDX-License-Identifier: Apache-2.0

package eval

import (
	"fmt"
	"slices"

	"dalio/spec/proof/logic"
)

// System is a theory made ready to be evaluated in one universe, by one goroutine
// at a time.
type System struct {
	*Universe
	compiler   *compiler
	init       []*node
	axioms     []named
	invariants []named
	actions    []*action
	defined    map[string]*definition
	machine    machine
}

type named struct {
	name string
	node *node
}

type action struct {
	*logic.Action
	params  []int
	guards  []*node
	updates []update
	shows   []named
}

type update struct {
	sym    int
	params []int
	body   *node
	choose []int // the variable that is chosen, if there is one
}

// NewSystem makes a theory ready.
func NewSystem(u *Universe) *System {
	c := &compiler{u: u}
	s := &System{Universe: u, compiler: c, defined: map[string]*definition{}}
	t := u.Theory
	for _, e := range t.Init {
		s.init = append(s.init, c.compile(e, nil))
	}
	s.axioms, s.invariants = c.all(t.Axioms, nil), c.all(t.Invariants, nil)
	for _, a := range t.Actions {
		x := &action{Action: a}
		scope := map[*logic.Var]int{}
		for _, v := range a.Params {
			scope[v] = c.variable(v)
			x.params = append(x.params, scope[v])
		}
		for _, g := range a.Guards {
			x.guards = append(x.guards, c.compile(g, scope))
		}
		for _, up := range a.Updates {
			y := update{sym: u.index[up.Sym]}
			inner := map[*logic.Var]int{}
			for v, i := range scope {
				inner[v] = i
			}
			for _, v := range up.Params {
				inner[v] = c.variable(v)
				y.params = append(y.params, inner[v])
			}
			if up.Choose != nil {
				inner[up.Choose] = c.variable(up.Choose)
				y.choose = []int{inner[up.Choose]}
			}
			y.body = c.compile(up.Body, inner)
			x.updates = append(x.updates, y)
		}
		x.shows = c.all(a.Shows, scope)
		s.actions = append(s.actions, x)
	}
	return s
}

func (c *compiler) all(list []logic.Named, scope map[*logic.Var]int) []named {
	var out []named
	for _, n := range list {
		out = append(out, named{n.Name, c.compile(n.Formula, scope)})
	}
	return out
}

// Broken is the names of the axioms and invariants that are false in a state.
func (s *System) Broken(at *State) []string {
	m := s.at(at)
	var out []string
	for _, list := range [][]named{s.axioms, s.invariants} {
		for _, n := range list {
			if !m.truth(n.node) {
				out = append(out, n.name)
			}
		}
	}
	return out
}

// Initial tells whether a state may be the first.
func (s *System) Initial(at *State) bool {
	m := s.at(at)
	return !slices.ContainsFunc(s.init, func(n *node) bool { return !m.truth(n) })
}

// Step is a step that the theory allows.
type Step struct {
	Action *logic.Action
	Args   []int
	To     *State
	Fails  []string // what such a step must satisfy and this one does not
}

// String is the action and its arguments.
func (s *Step) String() string {
	out := s.Action.ID() + "("
	for i, v := range s.Action.Params {
		if i > 0 {
			out += ", "
		}
		out += v.Name + " = " + s.To.name(v.Sort, s.Args[i])
	}
	return out + ")"
}

// Steps are all the steps from a state, the same target by different arguments
// included.
func (s *System) Steps(from *State) []*Step {
	var out []*Step
	for _, a := range s.actions {
		out = append(out, s.stepsOf(a, from)...)
	}
	return out
}

func (s *System) stepsOf(a *action, from *State) []*Step {
	m := s.at(from)
	var goals []goal
	for _, g := range a.guards {
		goals = append(goals, goal{g, true})
	}
	var out []*Step
	m.find(goals, a.params, func() bool {
		step := &Step{Action: a.Action}
		for _, v := range a.params {
			step.Args = append(step.Args, m.values[v])
		}
		if slices.ContainsFunc(out, func(s *Step) bool { return slices.Equal(s.Args, step.Args) }) {
			return false
		}
		step.To = s.apply(m, a)
		m.then = step.To
		for _, n := range a.shows {
			if !m.truth(n.node) {
				step.Fails = append(step.Fails, n.name)
			}
		}
		m.then = from
		out = append(out, step)
		return false
	})
	return out
}

// apply is the state after action a by the arguments that m has.
func (s *System) apply(m *machine, a *action) *State {
	to := m.now.Fork()
	for _, u := range a.updates {
		if s.Theory.Symbols[u.sym].Sort == logic.Bool {
			to.relations[u.sym] = s.tuples(m, u)
		} else {
			to.functions[u.sym] = s.values(m, u)
		}
	}
	return to
}

func (s *System) tuples(m *machine, u update) []uint64 {
	var out []uint64
	m.find([]goal{{u.body, true}}, u.params, func() bool {
		var k uint64
		for _, v := range u.params {
			k = k<<bits | uint64(m.values[v])
		}
		out = append(out, k)
		return false
	})
	slices.Sort(out)
	return slices.Compact(out)
}

func (s *System) values(m *machine, u update) []int32 {
	var out []int32
	var fill func(i int)
	fill = func(i int) {
		if i == len(u.params) {
			v := m.chosen(u)
			if v < 0 || v >= s.Size(s.Theory.Symbols[u.sym].Sort) {
				panic(fmt.Sprintf("%s becomes %d, which the universe does not have", s.Theory.Symbols[u.sym].Name, v))
			}
			out = append(out, int32(v))
			return
		}
		p := u.params[i]
		m.bound[p] = true
		for v := range s.Size(m.sorts[p]) {
			m.values[p] = v
			fill(i + 1)
		}
		m.bound[p] = false
	}
	fill(0)
	return out
}

// StepsOf are the steps from a state by one action.
func (s *System) StepsOf(a *logic.Action, from *State) []*Step {
	for _, x := range s.actions {
		if x.Action == a {
			return s.stepsOf(x, from)
		}
	}
	return nil
}

// chosen is the value of an update: what its body is, or the one that satisfies it.
func (m *machine) chosen(u update) int {
	if u.choose == nil {
		return m.value(u.body)
	}
	v := -1
	m.find([]goal{{u.body, true}}, u.choose, func() bool {
		v = m.values[u.choose[0]]
		return true
	})
	return v
}
