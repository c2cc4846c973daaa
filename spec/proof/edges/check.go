// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"dalio/spec/proof/eval"
	"dalio/spec/proof/logic"
	"dalio/spec/tla"
)

// Counts is what was compared of a model.
type Counts struct {
	States  int            // distinct ones; the invariant holds in each
	Edges   int            // distinct steps of the specification, each one of the theory
	Altered int            // pairs of states no step leads from one to the other of
	Actions map[string]int // steps by action and branch
}

// checker compares the steps of one model, as they come.
type checker struct {
	source *Source
	theory *logic.Theory
	m      *mapping
	system *eval.System
	Counts
	seen map[string]*eval.State // every state, by its key

	now    *origin
	groups map[string]*origin // by the key of the state that they are the steps from
}

// origin has the steps of the specification from one state: distinct ones.
type origin struct {
	state   *eval.State
	steps   map[string]bool // by action and target
	targets []target
}

type target struct {
	action string
	state  *eval.State
}

// check reads what TLC prints of a model of a source, and compares. What else TLC
// prints is returned. Whole is asked, when all has been read, whether that is all.
func check(src *Source, t *logic.Theory, in io.Reader, whole func() error) (Counts, []string, error) {
	c := &checker{source: src, theory: t, seen: map[string]*eval.State{}, groups: map[string]*origin{},
		Counts: Counts{Actions: map[string]int{}}}
	lines, err := src.read(in, c.start, c.edge)
	if err == nil {
		err = whole()
	}
	if err == nil {
		err = c.finish()
	}
	return c.Counts, lines, err
}

func (c *checker) start(constants tla.Value) error {
	m, err := c.source.mapping(c.theory, constants)
	if err != nil {
		return err
	}
	c.m, c.system = m, eval.NewSystem(m.universe)
	return nil
}

func (c *checker) edge(e edge) error {
	if c.m == nil {
		return errors.New("a step comes before the constants")
	}
	if !e.same {
		if err := c.begin(e); err != nil {
			return err
		}
	}
	to, err := c.source.state(c.m, c.now.state, e.to)
	if err != nil {
		return fmt.Errorf("%s leads to no state of the theory: %w", e.action, err)
	}
	if err := c.reach(to); err != nil {
		return err
	}
	if c.source.aside != "" {
		d := c.now.state.Differs(to)
		if d != nil && e.action == c.source.aside {
			return fmt.Errorf("a step that should leave all of the theory alone changes %s", strings.Join(d, ", "))
		}
		if d == nil {
			return nil
		}
	}
	if k := e.action + to.Key(); !c.now.steps[k] {
		c.now.steps[k] = true
		c.now.targets = append(c.now.targets, target{e.action, to})
	}
	return nil
}

// begin goes on to the steps from another state. Where states of the
// specification are one in the theory, their steps are compared together, at the
// end; otherwise there are no more of those before.
func (c *checker) begin(e edge) error {
	s, err := c.source.state(c.m, c.m.base, e.from)
	if err != nil {
		return fmt.Errorf("a state of the specification is none of the theory: %w", err)
	}
	if err := c.reach(s); err != nil {
		return err
	}
	if len(c.groups) == 0 && !c.system.Initial(s) {
		return fmt.Errorf("the first state is not initial:\n%s", s)
	}
	if c.source.register {
		if err := c.register(s, e.mapped); err != nil {
			return err
		}
	}
	if c.source.aside == "" && c.now != nil {
		if err := c.compare(c.now); err != nil {
			return err
		}
		c.now.steps, c.now.targets = nil, nil
	}
	k := s.Key()
	if c.groups[k] == nil {
		c.groups[k] = &origin{state: s, steps: map[string]bool{}}
	}
	c.now = c.groups[k]
	return nil
}

// reach counts a state, in which the invariant must hold.
func (c *checker) reach(s *eval.State) error {
	k := s.Key()
	if c.seen[k] != nil {
		return nil
	}
	c.seen[k] = s
	c.States++
	if broken := c.system.Broken(s); len(broken) > 0 {
		return fmt.Errorf("a state of the specification violates %s:\n%s", strings.Join(broken, ", "), s)
	}
	return nil
}

// compare compares the steps from one state: the specification's and the theory's
// must be the same.
func (c *checker) compare(o *origin) error {
	mine, err := c.steps(o.state)
	if err != nil {
		return err
	}
	for _, t := range o.targets {
		c.Edges++
		step := mine[t.action+t.state.Key()]
		if step == nil {
			return fmt.Errorf("the theory has no step %s from\n%s\nto a state that differs in %s:\n%s", t.action, o.state,
				strings.Join(o.state.Differs(t.state), ", "), t.state)
		}
		c.Actions[step.Action.ID()]++
		if err := c.alter(o, t, mine); err != nil {
			return err
		}
	}
	return c.surplus(o, mine)
}

// steps are the theory's steps from a state, by action and target, but for those
// that leave all alone where such are not compared. Each must do what it must.
func (c *checker) steps(from *eval.State) (map[string]*eval.Step, error) {
	mine := map[string]*eval.Step{}
	for _, step := range c.system.Steps(from) {
		if len(step.Fails) > 0 {
			return nil, fmt.Errorf("the step %s does not satisfy %s; from\n%s\nto\n%s", step, strings.Join(step.Fails, ", "), from, step.To)
		}
		if c.source.aside != "" && from.Differs(step.To) == nil {
			continue
		}
		if k := step.Action.Name + step.To.Key(); mine[k] == nil {
			mine[k] = step
		}
	}
	return mine, nil
}

// surplus fails if the theory has a step that the specification has not.
func (c *checker) surplus(o *origin, mine map[string]*eval.Step) error {
	for k, step := range mine {
		if !o.steps[k] && !slices.Contains(c.source.loose, step.Action.Name) {
			return fmt.Errorf("the specification has no step %s from\n%s\nto\n%s", step, o.state, step.To)
		}
	}
	return nil
}

// alter changes the target of a step in one variable at a time. No step of the
// theory may lead there, unless it is one of the specification's too.
func (c *checker) alter(o *origin, t target, mine map[string]*eval.Step) error {
	if slices.Contains(c.source.loose, t.action) {
		return nil
	}
	for _, sym := range c.theory.Symbols {
		if !sym.Changes() || (c.Edges+len(sym.Name))%alterations != 0 {
			continue
		}
		other := t.state.Altered(sym, c.Edges)
		k := t.action + other.Key()
		if o.steps[k] {
			continue
		}
		c.Altered++
		if mine[k] != nil {
			return fmt.Errorf("the theory has a step %s from\n%s\nto a state that was altered in %s:\n%s", t.action, o.state, sym.Name, other)
		}
	}
	return nil
}

// alterations is how many variables there are to one that is altered in a step.
const alterations = 5

// finish compares what has not been compared, and the states that no step leads
// from.
func (c *checker) finish() error {
	if c.now == nil {
		return errors.New("TLC printed no step")
	}
	last := []*origin{c.now}
	if c.source.aside != "" {
		last = last[:0]
		for _, k := range slices.Sorted(maps.Keys(c.groups)) {
			last = append(last, c.groups[k])
		}
	}
	for _, o := range last {
		if err := c.compare(o); err != nil {
			return err
		}
	}
	for _, k := range slices.Sorted(maps.Keys(c.seen)) {
		if c.groups[k] == nil {
			if err := c.compare(&origin{state: c.seen[k]}); err != nil {
				return err
			}
		}
	}
	return nil
}

// register compares the variables of the register as the specification defines
// them, with what the theory does.
func (c *checker) register(s *eval.State, mapped tla.Value) error {
	return guarded(func() {
		c.m.each("Key", field(mapped, "value"), func(k int, v tla.Value) {
			c.same(s, "registerValue", 1, v, k, c.m.element("Value", v))
		})
		linearized, candidates := field(mapped, "linearized"), field(mapped, "candidates")
		c.m.each("Client", candidates, func(at int, may tla.Value) {
			for i := range c.m.universe.Names["Value"] {
				has := slices.ContainsFunc(set(may), func(v tla.Value) bool { return c.m.element("Value", v) == i })
				c.same(s, "candidate", truth(has), may, at, i)
			}
			has := slices.ContainsFunc(set(linearized), func(v tla.Value) bool { return c.m.element("Client", v) == at })
			c.same(s, "linearized", truth(has), linearized, at)
		})
	})
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c *checker) same(s *eval.State, name string, want int, v tla.Value, args ...int) {
	if got := c.system.Defined(s, name, args...); got != want {
		fail("%s is not what the specification says it is (%s), in\n%s", name, v, s)
	}
}
