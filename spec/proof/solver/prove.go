// SPDX-License-Identifier: Apache-2.0

package solver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dalio/spec/proof/logic"
)

// Condition is something to be proved: that Goal holds after Of.
type Condition struct {
	Of   string // "Init" or an action
	Goal string
	Verdict
	Took time.Duration
	Same bool // the action changes nothing that the goal speaks of
}

// ProveStart proves that the initial states satisfy the invariant and what else
// must hold at the start.
func ProveStart(ctx context.Context, t *logic.Theory, limit time.Duration) ([]Condition, error) {
	text := prelude(t, nil)
	for _, e := range t.Init {
		text += assert(e)
	}
	var goals []goal
	for _, n := range append(append([]logic.Named(nil), t.Invariants...), t.Starts...) {
		goals = append(goals, goal{n.Name, n.Formula, false})
	}
	return prove(ctx, "Init", text, goals, limit)
}

// ProveStep proves that action a, taken in a state that satisfies the invariant,
// leads to one that satisfies it, and satisfies what each such step must. Cures in
// off are not kept.
func ProveStep(ctx context.Context, t *logic.Theory, a *logic.Action, off map[string]bool, limit time.Duration) ([]Condition, error) {
	before, after := prelude(t, off), step(a)
	var rest []goal
	var out []Condition
	for _, g := range goals(t, a) {
		uses := a.Uses[g.name]
		if len(uses) == 0 {
			rest = append(rest, g)
			continue
		}
		if err := known(t, uses); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", a.ID(), g.name, err)
		}
		c, err := prove(ctx, a.ID(), before+from(t, uses...)+after, []goal{g}, limit)
		if err != nil {
			return out, err
		}
		out = append(out, c...)
	}
	c, err := prove(ctx, a.ID(), before+from(t)+after, rest, limit)
	return append(out, c...), err
}

// known fails if a name is none of a conjunct.
func known(t *logic.Theory, names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(t.Invariants, func(n logic.Named) bool { return n.Name == name }) {
			return fmt.Errorf("there is no conjunct %s to use", name)
		}
	}
	return nil
}

type goal struct {
	name    string
	formula *logic.Expr
	same    bool
}

func goals(t *logic.Theory, a *logic.Action) []goal {
	var out []goal
	for _, n := range t.Invariants {
		e := after(a, n.Formula)
		out = append(out, goal{n.Name, e, !changes(e)})
	}
	for _, n := range a.Shows {
		out = append(out, goal{n.Name, shown(a, n.Formula), false})
	}
	return out
}

func prove(ctx context.Context, of, text string, goals []goal, limit time.Duration) ([]Condition, error) {
	s, err := start(ctx, limit)
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.tell(text)
	var out []Condition
	for _, g := range goals {
		c := Condition{Of: of, Goal: g.name, Verdict: Unsat, Same: g.same}
		if !g.same {
			from := time.Now()
			s.tell("(push)\n" + assert(logic.Not(g.formula)))
			if c.Verdict, err = s.ask(); err != nil {
				return out, err
			}
			s.tell("(pop)\n")
			c.Took = time.Since(from)
		}
		out = append(out, c)
	}
	return out, nil
}
