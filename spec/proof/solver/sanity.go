// SPDX-License-Identifier: Apache-2.0

package solver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"dalio/spec/proof/eval"
	"dalio/spec/proof/logic"
)

// Scope bounds a search for a state. With few elements z3 finds it quickly; and
// whatever it finds is a state of any larger scope too.
type Scope struct {
	Sizes map[logic.Sort]int
	Most  int // the largest integer
}

// Example is a state that satisfies the invariant, and a step from it, as z3
// found it and package eval confirmed it.
type Example struct {
	Verdict
	Took time.Duration
	From *eval.State
	Step *eval.Step
}

// Takes looks for a state that satisfies the invariant and in which action a is
// taken.
func Takes(ctx context.Context, t *logic.Theory, a *logic.Action, scope Scope, limit time.Duration) (Example, error) {
	return find(ctx, t, a, nil, "", scope, limit)
}

// Counterexample looks for a state that satisfies the invariant and in which
// action a, without the cures in off, is taken and violates a goal.
func Counterexample(ctx context.Context, t *logic.Theory, a *logic.Action, off map[string]bool, goal string, scope Scope, limit time.Duration) (Example, error) {
	return find(ctx, t, a, off, goal, scope, limit)
}

// Starts looks for an initial state.
func Starts(ctx context.Context, t *logic.Theory, scope Scope, limit time.Duration) (Example, error) {
	text := ""
	for _, e := range t.Init {
		text += assert(e)
	}
	x, model, err := decide(ctx, prelude(t, nil)+bounds(t, scope)+text, limit)
	if err != nil || x.Verdict != Sat {
		return x, err
	}
	x.From, _, err = readModel(t, model, nil, nil, scope.Most+2)
	if err == nil && !eval.NewSystem(x.From.Universe).Initial(x.From) {
		err = fmt.Errorf("z3 takes this state for an initial one, which it is not:\n%s", x.From)
	}
	return x, err
}

func find(ctx context.Context, t *logic.Theory, a *logic.Action, off map[string]bool, violated string, scope Scope, limit time.Duration) (Example, error) {
	text := prelude(t, off) + bounds(t, scope) + from(t) + step(a)
	if violated != "" {
		list := goals(t, a)
		i := slices.IndexFunc(list, func(g goal) bool { return g.name == violated })
		if i < 0 {
			return Example{}, fmt.Errorf("%s has no goal %s", a.ID(), violated)
		}
		text += assert(logic.Not(list[i].formula))
	}
	x, model, err := decide(ctx, text, limit)
	if err != nil || x.Verdict != Sat {
		return x, err
	}
	var args []int
	if x.From, args, err = readModel(t, model, a.Params, off, scope.Most+2); err != nil {
		return x, err
	}
	return x, x.confirm(a, args, violated)
}

// seeds is how often a search for a model is begun again where z3 gives it up.
const seeds = 8

// decide asks in the way that finds models: by looking for quantifiers that a
// candidate violates, and not by matching patterns. Where a search leads nowhere
// another may.
func decide(ctx context.Context, text string, limit time.Duration) (Example, string, error) {
	var x Example
	from := time.Now()
	for seed := range seeds {
		model, err := x.search(ctx, fmt.Sprintf("(set-option :smt.random_seed %d)\n", seed)+text, limit)
		x.Took = time.Since(from)
		if err != nil || x.Verdict != Unknown || x.Took > limit {
			return x, model, err
		}
	}
	return x, "", nil
}

func (x *Example) search(ctx context.Context, text string, limit time.Duration) (model string, err error) {
	x.Verdict = Unknown
	s, err := start(ctx, limit)
	if err != nil {
		return "", err
	}
	defer s.close()
	s.tell("(set-option :auto_config false)\n(set-option :smt.ematching false)\n" + text)
	if x.Verdict, err = s.ask(); err != nil || x.Verdict != Sat {
		return "", err
	}
	return s.model()
}

// confirm evaluates what z3 found: the invariant must hold, the step must be
// one, and it must violate what it is to violate.
func (x *Example) confirm(a *logic.Action, args []int, violated string) error {
	system := eval.NewSystem(x.From.Universe)
	if broken := system.Broken(x.From); len(broken) > 0 {
		return fmt.Errorf("z3's state violates %s:\n%s", strings.Join(broken, ", "), x.From)
	}
	for _, step := range system.StepsOf(a, x.From) {
		if slices.Equal(step.Args, args) {
			x.Step = step
		}
	}
	if x.Step == nil {
		return fmt.Errorf("%s cannot be taken in z3's state as it says:\n%s", a.ID(), x.From)
	}
	if violated == "" || slices.Contains(x.Step.Fails, violated) || slices.Contains(system.Broken(x.Step.To), violated) {
		return nil
	}
	return fmt.Errorf("z3's step %s does not violate %s; from\n%s\nto\n%s", x.Step, violated, x.From, x.Step.To)
}

// bounds says that each sort has few elements, and that no integer of the state is
// large or negative.
func bounds(t *logic.Theory, scope Scope) string {
	var b strings.Builder
	for _, s := range t.Sorts {
		v := &logic.Var{Name: "x", Sort: s}
		var some []*logic.Expr
		for i := range scope.Sizes[s] {
			sym := &logic.Symbol{Name: fmt.Sprintf("%s!%d", s, i), Sort: s}
			b.WriteString(sym.Declaration())
			some = append(some, logic.Eq(logic.Ref(v), logic.Apply(sym)))
		}
		b.WriteString(assert(logic.Forall([]*logic.Var{v}, logic.Or(some...))))
	}
	for _, sym := range t.Symbols {
		var vars []*logic.Var
		var args, small []*logic.Expr
		for _, s := range sym.Args {
			v := &logic.Var{Name: "x", Sort: s}
			vars = append(vars, v)
			args = append(args, logic.Ref(v))
			if s == logic.Int {
				small = append(small, between(logic.Ref(v), scope.Most))
			}
		}
		here := logic.Apply(sym, args...)
		switch {
		case sym.Sort == logic.Int:
			b.WriteString(assert(logic.Forall(vars, between(here, scope.Most))))
		case sym.Sort == logic.Bool && len(small) > 0:
			b.WriteString(assert(logic.Forall(vars, logic.Implies(here, logic.And(small...)))))
		}
	}
	return b.String()
}

func between(e *logic.Expr, most int) *logic.Expr {
	atMost := func(a, b *logic.Expr) *logic.Expr {
		return &logic.Expr{Kind: logic.KAtMost, Sort: logic.Bool, Args: []*logic.Expr{a, b}}
	}
	return logic.And(atMost(logic.Num(0), e), atMost(e, logic.Num(most)))
}
