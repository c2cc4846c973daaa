// SPDX-License-Identifier: Apache-2.0

package solver

import (
	"context"
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
	return prove(ctx, a.ID(), prelude(t, off)+from(t)+step(a), goals(t, a), limit)
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

// Script is the whole question whether goal of action a can be violated, as text
// for z3.
func Script(t *logic.Theory, a *logic.Action, goalName string, off map[string]bool) string {
	for _, g := range goals(t, a) {
		if g.name == goalName {
			return prelude(t, off) + from(t) + step(a) + assert(logic.Not(g.formula)) + "(check-sat)\n"
		}
	}
	return ""
}
