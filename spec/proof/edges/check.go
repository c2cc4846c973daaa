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
	Steps   int            // steps of the theory, each one of the specification and of the register
	Altered int            // pairs of states no step leads from one to the other of
	Actions map[string]int // steps by action and branch
}

// checker compares the steps of one model, as they come.
type checker struct {
	theory *logic.Theory
	m      *mapping
	system *eval.System
	Counts
	seen map[string]*eval.State // every state, by its key

	from    *eval.State
	edges   map[string]bool // from here, by action and target
	targets []target
	sources map[string]bool
}

type target struct {
	action string
	state  *eval.State
}

// Check reads what TLC prints of a model with ProofEdges.tla, and compares. What
// else TLC prints is returned.
func Check(t *logic.Theory, in io.Reader) (Counts, []string, error) {
	return check(t, in, func() error { return nil })
}

// check is Check, with what must be asked when all has been read.
func check(t *logic.Theory, in io.Reader, whole func() error) (Counts, []string, error) {
	c := &checker{theory: t, seen: map[string]*eval.State{}, sources: map[string]bool{},
		Counts: Counts{Actions: map[string]int{}}}
	lines, err := read(in, c.start, c.edge)
	if err == nil {
		err = whole()
	}
	if err == nil {
		err = c.finish()
	}
	return c.Counts, lines, err
}

func (c *checker) start(constants tla.Value) error {
	m, err := newMapping(c.theory, constants)
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
		if err := c.compare(); err != nil {
			return err
		}
		s, err := c.m.state(e.from)
		if err != nil {
			return fmt.Errorf("a state of the specification is none of the theory: %w", err)
		}
		if err := c.reach(s); err != nil {
			return err
		}
		if len(c.sources) == 0 && !c.system.Initial(s) {
			return fmt.Errorf("the first state is not initial:\n%s", s)
		}
		if err := c.register(s, e.mapped); err != nil {
			return err
		}
		c.from, c.edges, c.targets = s, map[string]bool{}, nil
		c.sources[s.Key()] = true
	}
	to, err := c.m.changed(c.from, e.to)
	if err != nil {
		return fmt.Errorf("%s leads to no state of the theory: %w", e.action, err)
	}
	if err := c.reach(to); err != nil {
		return err
	}
	if k := e.action + to.Key(); !c.edges[k] {
		c.edges[k] = true
		c.targets = append(c.targets, target{e.action, to})
	}
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

// compare compares the steps from the last state: the specification's and the
// theory's must be the same.
func (c *checker) compare() error {
	if c.from == nil {
		return nil
	}
	mine, err := c.steps(c.from)
	if err != nil {
		return err
	}
	for _, t := range c.targets {
		c.Edges++
		if !mine[t.action+t.state.Key()] {
			return fmt.Errorf("the theory has no step %s from\n%s\nto a state that differs in %s:\n%s", t.action, c.from,
				strings.Join(c.from.Differs(t.state), ", "), t.state)
		}
		if err := c.alter(t, mine); err != nil {
			return err
		}
	}
	for k := range mine {
		if !c.edges[k] {
			return c.surplus(c.from)
		}
	}
	return nil
}

// steps are the theory's steps from a state, by action and target. Each must be
// one of the register.
func (c *checker) steps(from *eval.State) (map[string]bool, error) {
	mine := map[string]bool{}
	for _, step := range c.system.Steps(from) {
		if len(step.Fails) > 0 {
			return nil, fmt.Errorf("the step %s does not satisfy %s; from\n%s\nto\n%s", step, strings.Join(step.Fails, ", "), from, step.To)
		}
		k := step.Action.Name + step.To.Key()
		if !mine[k] {
			mine[k] = true
			c.Steps++
			c.Actions[step.Action.ID()]++
		}
	}
	return mine, nil
}

func (c *checker) surplus(from *eval.State) error {
	for _, step := range c.system.Steps(from) {
		if !c.edges[step.Action.Name+step.To.Key()] {
			return fmt.Errorf("the specification has no step %s from\n%s\nto\n%s", step, from, step.To)
		}
	}
	return nil
}

// alter changes the target of a step in one variable at a time. No step of the
// theory may lead there, unless it is one of the specification's too.
func (c *checker) alter(t target, mine map[string]bool) error {
	for _, sym := range c.theory.Symbols {
		if !sym.Changes() || (c.Edges+len(sym.Name))%alterations != 0 {
			continue
		}
		other := t.state.Altered(sym, c.Edges)
		k := t.action + other.Key()
		if c.edges[k] {
			continue
		}
		c.Altered++
		if mine[k] {
			return fmt.Errorf("the theory has a step %s from\n%s\nto a state that was altered in %s:\n%s", t.action, c.from, sym.Name, other)
		}
	}
	return nil
}

// alterations is how many variables there are to one that is altered in a step.
const alterations = 5

// finish compares the last state, and those that no step leads from.
func (c *checker) finish() error {
	if err := c.compare(); err != nil {
		return err
	}
	if c.Edges == 0 {
		return errors.New("TLC printed no step")
	}
	for _, k := range slices.Sorted(maps.Keys(c.seen)) {
		if c.sources[k] {
			continue
		}
		c.edges = map[string]bool{}
		if err := c.surplus(c.seen[k]); err != nil {
			return err
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
