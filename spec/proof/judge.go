// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dalio/spec/proof/edges"
	"dalio/spec/proof/logic"
	"dalio/spec/proof/solver"
)

// judge runs the parts of the command and counts.
type judge struct {
	ctx   context.Context
	proof // the one that it is at
	limit time.Duration
	out   io.Writer
	work  string
	short bool
	model string // if there is but one to compare

	asked, same, actions, refuted, cured int
	states, steps, altered               int
	failures                             int
}

func (j *judge) print(format string, args ...any) { fmt.Fprintf(j.out, format, args...) }

func (j *judge) fail(format string, args ...any) {
	j.failures++
	j.print("  FAILED "+format+"\n", args...)
}

// prove has z3 prove the start and every action.
func (j *judge) prove() error {
	j.print("%s: the invariant at the start, and preserved by each action, which does what it must:\n", j.name)
	conditions, err := solver.ProveStart(j.ctx, j.theory, j.limit)
	if err != nil {
		return err
	}
	j.proved("Init", conditions)
	for _, a := range j.theory.Actions {
		conditions, err := solver.ProveStep(j.ctx, j.theory, a, nil, j.limit)
		if err != nil {
			return fmt.Errorf("%s: %w", a.ID(), err)
		}
		j.proved(a.ID(), conditions)
	}
	return nil
}

func (j *judge) proved(of string, conditions []solver.Condition) {
	var took time.Duration
	asked, open := 0, 0
	for _, c := range conditions {
		took += c.Took
		if !c.Same {
			asked++
		}
		if c.Verdict != solver.Unsat {
			open++
		}
	}
	j.asked, j.same = j.asked+asked-open, j.same+len(conditions)-asked
	verdict := "proved"
	if open > 0 {
		verdict = "NOT PROVED"
	}
	j.print("  %-34s %3d conditions, %3d of them asked of z3  %-10s %5.2f s\n", of, len(conditions), asked, verdict, took.Seconds())
	for _, c := range conditions {
		if c.Verdict != solver.Unsat {
			j.fail("%s, %s: z3 says %s", c.Of, c.Goal, c.Verdict)
		}
	}
}

// examples has z3 find an initial state, and for each action one that satisfies
// the invariant and in which the action is taken.
func (j *judge) examples() error {
	j.print("\na state that satisfies the invariant, in which the action is taken:\n")
	x, err := solver.Starts(j.ctx, j.theory, j.scope, j.limit)
	if err != nil {
		return err
	}
	j.found("Init", x, solver.Sat)
	for _, a := range j.theory.Actions {
		x, err := solver.Takes(j.ctx, j.theory, a, j.scope, j.limit)
		if err != nil {
			return fmt.Errorf("%s: %w", a.ID(), err)
		}
		want := solver.Sat
		if j.never[a.ID()] != "" {
			want = solver.Unsat
		}
		j.found(a.ID(), x, want)
	}
	return nil
}

func (j *judge) found(of string, x solver.Example, want solver.Verdict) {
	note := "found"
	if want == solver.Unsat {
		note = "never: " + j.never[of]
	}
	if x.Verdict != want {
		j.fail("%s: z3 says %s, not %s", of, x.Verdict, want)
		return
	}
	if want == solver.Sat && of != "Init" {
		j.actions++
	}
	j.print("  %-34s %-40s %5.2f s\n", of, note, x.Took.Seconds())
}

// cures has z3 find, for each cure that is left out, a state that satisfies the
// invariant and a step from it that does not preserve it.
func (j *judge) cures() error {
	j.print("\nwithout a cure, a step that breaks the invariant (the states are in %s):\n", j.work)
	for _, sym := range j.theory.Symbols {
		if sym.Role != logic.Cure {
			continue
		}
		j.cured++
		b, ok := j.breaks[sym.Name]
		if !ok {
			j.fail("%s: nothing says what it breaks", sym.Name)
			continue
		}
		i := slices.IndexFunc(j.theory.Actions, func(a *logic.Action) bool { return a.ID() == b.action })
		if i < 0 {
			j.fail("%s: there is no action %s", sym.Name, b.action)
			continue
		}
		x, err := solver.Counterexample(j.ctx, j.theory, j.theory.Actions[i], map[string]bool{sym.Name: true}, b.conjunct, j.scope, j.limit)
		if err != nil {
			return fmt.Errorf("without %s: %w", sym.Name, err)
		}
		if x.Verdict != solver.Sat {
			j.fail("without %s, %s and %s: z3 says %s, not sat", sym.Name, b.action, b.conjunct, x.Verdict)
			continue
		}
		j.refuted++
		j.print("  %-18s %-32s violates %-20s %5.2f s\n", sym.Name, b.action, b.conjunct, x.Took.Seconds())
		if err := os.WriteFile(filepath.Join(j.work, sym.Name+".txt"), []byte(story(sym.Name, b, x)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// story tells a counterexample: the state, the step, and what it changes.
func story(cure string, b broken, x solver.Example) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Without %s the step\n\n  %s\n\nviolates %s. It changes:\n\n", cure, x.Step, b.conjunct)
	for _, name := range x.From.Differs(x.Step.To) {
		fmt.Fprintf(&out, "  from  %s\n  to    %s\n", x.From.Line(name), x.Step.To.Line(name))
	}
	fmt.Fprintf(&out, "\nThe state that it is taken in, which satisfies the invariant; what is not told is false, 0 or none:\n\n  %s\n",
		strings.ReplaceAll(x.From.String(), "\n", "\n  "))
	return out.String()
}

// edges compares the steps of models with TLC's.
func (j *judge) edges() error {
	j.print("\nthe steps of the specification, as TLC prints them, against those of the theory:\n")
	taken := map[string]int{}
	for _, model := range edges.Models {
		if model.Of != j.source || j.short && !model.Short || j.model != "" && j.model != model.Name {
			continue
		}
		from := time.Now()
		n, err := edges.Run(j.ctx, j.theory, ".", j.work, model)
		if err != nil {
			return err
		}
		j.states, j.steps, j.altered = j.states+n.States, j.steps+n.Edges, j.altered+n.Altered
		for a, k := range n.Actions {
			taken[a] += k
		}
		j.print("  %-20s %7d states satisfy the invariant, %7d of %7d steps are the theory's, %8d of %8d altered ones are not  %4.0f s\n",
			model.Name, n.States, n.Edges, n.Edges, n.Altered, n.Altered, time.Since(from).Seconds())
	}
	var missing []string
	for _, a := range j.theory.Actions {
		if taken[a.ID()] == 0 && j.never[a.ID()] == "" {
			missing = append(missing, a.ID())
		}
	}
	if len(missing) > 0 && j.model == "" {
		j.fail("not taken in these models: %s", strings.Join(missing, ", "))
	} else if len(missing) > 0 {
		j.print("  not taken in this model: %s\n", strings.Join(missing, ", "))
	}
	return nil
}

func (j *judge) summary() string {
	taken := fmt.Sprintf("z3 finds a state for each of %d actions", j.actions)
	if j.actions == 0 {
		taken = "every action is taken in the models"
	}
	return fmt.Sprintf("%d conditions proved by z3, %d more unchanged by their action; %s; %d of %d cures have a counterexample without them; "+
		"%d states of the specification satisfy the invariant, its %d steps are the theory's, %d altered ones are not",
		j.asked, j.same, taken, j.refuted, j.cured, j.states, j.steps, j.altered)
}
