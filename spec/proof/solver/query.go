// SPDX-License-Identifier: Apache-2.0

// Package solver has z3 decide what is to be proved of a theory.
package solver

import (
	"fmt"
	"slices"
	"strings"

	"dalio/spec/proof/logic"
)

// prelude declares everything of a theory. Cures are true but for those in off.
func prelude(t *logic.Theory, off map[string]bool) string {
	var b strings.Builder
	for _, s := range t.Sorts {
		fmt.Fprintf(&b, "(declare-sort %s 0)\n", s)
	}
	for _, s := range t.EnumOrder {
		fmt.Fprintf(&b, "(declare-datatypes ((%s 0)) (((%s))))\n", s, strings.Join(t.Enums[s], ") ("))
	}
	for _, s := range t.Symbols {
		_, enumerated := t.Enums[s.Sort]
		switch {
		case s.Role == logic.Element && enumerated:
		case s.Role == logic.Cure:
			fmt.Fprintf(&b, "(define-fun %s () Bool %v)\n", s.Name, !off[s.Name])
		default:
			b.WriteString(s.Declaration())
		}
	}
	for _, a := range t.Axioms {
		b.WriteString(assert(a.Formula))
	}
	return b.String()
}

func assert(e *logic.Expr) string { return "(assert " + e.SMT() + ")\n" }

// from is a state that satisfies the invariant: all of it, or those conjuncts
// that are named.
func from(t *logic.Theory, names ...string) string {
	var b strings.Builder
	for _, i := range t.Invariants {
		if len(names) == 0 || slices.Contains(names, i.Name) {
			b.WriteString(assert(i.Formula))
		}
	}
	return b.String()
}

// step is that action a is taken, by some values of its parameters.
func step(a *logic.Action) string {
	var b strings.Builder
	for _, v := range a.Params {
		fmt.Fprintf(&b, "(declare-const %s %s)\n", v.Name, v.Sort)
	}
	for _, g := range a.Guards {
		b.WriteString(assert(g))
	}
	for _, u := range a.Updates {
		b.WriteString(u.Definition())
	}
	return b.String()
}

// after is e after action a, which leaves alone what it does not update.
func after(a *logic.Action, e *logic.Expr) *logic.Expr { return e.After(a.Changes) }

// shown is e, which speaks of the states before and after action a.
func shown(a *logic.Action, e *logic.Expr) *logic.Expr {
	return e.Map(func(x *logic.Expr) *logic.Expr {
		if x.Kind == logic.KApp && x.Next && !a.Changes(x.Sym) {
			c := *x
			c.Next = false
			return &c
		}
		return x
	})
}

func changes(e *logic.Expr) bool {
	found := false
	e.Walk(func(x *logic.Expr) { found = found || x.Next })
	return found
}
