// SPDX-License-Identifier: Apache-2.0

// Package logic has the formulas of the proof: many-sorted first-order logic
// with integers, transition systems written in it (Theory), a parser for both,
// and their printing as SMT-LIB 2. There is one syntax tree for what the solver
// proves and for what package eval evaluates.
package logic

import (
	"fmt"
	"strings"
)

// Sort is the type of a term. Bool and Int are those of SMT-LIB; all others are
// declared by a theory and may have any number of elements, unless enumerated.
type Sort string

// The sorts that every theory has.
const (
	Bool Sort = "Bool"
	Int  Sort = "Int"
)

// Symbol is a constant, a function or (where Sort is Bool) a relation.
type Symbol struct {
	Name string
	Args []Sort
	Sort Sort
	Role Role
}

// Role says what may change a symbol.
type Role uint8

const (
	Fixed   Role = iota // the same for ever, and any
	Element             // an element of an enumerated sort, or one that stands for "none"
	Cure                // a rule of the protocol, kept where true
	State               // a variable of the transition system
	Message             // the messages of one type in the network
)

// Changes tells whether a symbol is part of the state.
func (sym *Symbol) Changes() bool { return sym.Role == State || sym.Role == Message }

// Var is a variable. Two of the same name are different variables.
type Var struct {
	Name string
	Sort Sort
}

// Kind is what an expression is.
type Kind uint8

const (
	KVar Kind = iota
	KInt
	KBool
	KApp
	KEq
	KNot
	KAnd
	KOr
	KImplies
	KIte
	KForall
	KExists
	KLess
	KAtMost
	KAdd
)

// Expr is a term or, where its sort is Bool, a formula. It is never changed once
// it is made.
type Expr struct {
	Kind Kind
	Sort Sort
	Args []*Expr
	Var  *Var    // KVar
	Vars []*Var  // KForall, KExists
	Sym  *Symbol // KApp
	N    int     // KInt; KBool: 0 or 1
	Next bool    // KApp: the value after the step
}

var (
	True  = &Expr{Kind: KBool, Sort: Bool, N: 1}
	False = &Expr{Kind: KBool, Sort: Bool}
)

// Num is the integer n.
func Num(n int) *Expr { return &Expr{Kind: KInt, Sort: Int, N: n} }

// Ref is the variable v as a term.
func Ref(v *Var) *Expr { return &Expr{Kind: KVar, Sort: v.Sort, Var: v} }

// Apply is sym of args in the state before the step.
func Apply(sym *Symbol, args ...*Expr) *Expr {
	return &Expr{Kind: KApp, Sort: sym.Sort, Sym: sym, Args: args}
}

// Eq is a = b; of formulas, that both or neither are true.
func Eq(a, b *Expr) *Expr { return &Expr{Kind: KEq, Sort: Bool, Args: []*Expr{a, b}} }

// Not is the negation of a.
func Not(a *Expr) *Expr {
	switch a.Kind {
	case KBool:
		if a.N == 0 {
			return True
		}
		return False
	case KNot:
		return a.Args[0]
	}
	return &Expr{Kind: KNot, Sort: Bool, Args: []*Expr{a}}
}

// And is true where all of args are; Or where one is.
func And(args ...*Expr) *Expr { return flat(KAnd, True, False, args) }
func Or(args ...*Expr) *Expr  { return flat(KOr, False, True, args) }

func flat(kind Kind, unit, zero *Expr, args []*Expr) *Expr {
	var out []*Expr
	for _, a := range args {
		switch {
		case a.Kind == KBool && a.N == unit.N:
		case a.Kind == KBool:
			return zero
		case a.Kind == kind:
			out = append(out, a.Args...)
		default:
			out = append(out, a)
		}
	}
	switch len(out) {
	case 0:
		return unit
	case 1:
		return out[0]
	}
	return &Expr{Kind: kind, Sort: Bool, Args: out}
}

// Implies is that b is true if a is.
func Implies(a, b *Expr) *Expr { return &Expr{Kind: KImplies, Sort: Bool, Args: []*Expr{a, b}} }

// Ite is a where cond is true, and b otherwise.
func Ite(cond, a, b *Expr) *Expr {
	return &Expr{Kind: KIte, Sort: a.Sort, Args: []*Expr{cond, a, b}}
}

// Forall and Exists quantify body over vars, of which there may be none.
func Forall(vars []*Var, body *Expr) *Expr { return quantified(KForall, vars, body) }
func Exists(vars []*Var, body *Expr) *Expr { return quantified(KExists, vars, body) }

func quantified(kind Kind, vars []*Var, body *Expr) *Expr {
	if len(vars) == 0 {
		return body
	}
	return &Expr{Kind: kind, Sort: Bool, Vars: vars, Args: []*Expr{body}}
}

// Map replaces each expression of e, its parts first, by what f makes of it.
func (e *Expr) Map(f func(*Expr) *Expr) *Expr {
	args := e.Args
	for i, a := range e.Args {
		b := a.Map(f)
		if b == a {
			continue
		}
		if &args[0] == &e.Args[0] {
			args = append([]*Expr(nil), e.Args...)
		}
		args[i] = b
	}
	if len(args) > 0 && &args[0] != &e.Args[0] {
		c := *e
		c.Args = args
		e = &c
	}
	return f(e)
}

// Walk calls f for e and everything in it.
func (e *Expr) Walk(f func(*Expr)) {
	f(e)
	for _, a := range e.Args {
		a.Walk(f)
	}
}

// Substitute replaces variables by terms, and gives every quantifier in e
// variables of its own, so that nothing is captured.
func (e *Expr) Substitute(by map[*Var]*Expr) *Expr {
	fresh := map[*Var]*Expr{}
	for v, t := range by {
		fresh[v] = t
	}
	e.Walk(func(x *Expr) {
		for _, v := range x.Vars {
			fresh[v] = Ref(&Var{Name: v.Name, Sort: v.Sort})
		}
	})
	return e.Map(func(x *Expr) *Expr {
		if x.Kind == KVar {
			if t, ok := fresh[x.Var]; ok {
				return t
			}
		}
		if len(x.Vars) > 0 {
			c := *x
			c.Vars = make([]*Var, len(x.Vars))
			for i, v := range x.Vars {
				c.Vars[i] = fresh[v].Var
			}
			return &c
		}
		return x
	})
}

// After is e in the state after a step that changes what changed tells.
func (e *Expr) After(changed func(*Symbol) bool) *Expr {
	return e.Map(func(x *Expr) *Expr {
		if x.Kind == KApp && !x.Next && changed(x.Sym) {
			c := *x
			c.Next = true
			return &c
		}
		return x
	})
}

// Conjuncts are the formulas that are all true where e is.
func (e *Expr) Conjuncts() []*Expr {
	if e.Kind == KAnd {
		return e.Args
	}
	return []*Expr{e}
}

// String is e in the notation of the parser.
func (e *Expr) String() string {
	arg := func(i int) string {
		if a := e.Args[i]; a.Kind == KVar || a.Kind == KApp || a.Kind == KInt || a.Kind == KBool {
			return a.String()
		}
		return "(" + e.Args[i].String() + ")"
	}
	joined := func(op string) string {
		parts := make([]string, len(e.Args))
		for i := range e.Args {
			parts[i] = arg(i)
		}
		return strings.Join(parts, op)
	}
	switch e.Kind {
	case KVar:
		return e.Var.Name
	case KInt:
		return fmt.Sprint(e.N)
	case KBool:
		return fmt.Sprint(e.N != 0)
	case KApp:
		name := e.Sym.Name
		if e.Next {
			name += "'"
		}
		if len(e.Args) == 0 {
			return name
		}
		parts := make([]string, len(e.Args))
		for i, a := range e.Args {
			parts[i] = a.String()
		}
		return name + "(" + strings.Join(parts, ", ") + ")"
	case KNot:
		return "!" + arg(0)
	case KIte:
		return "if " + arg(0) + " then " + arg(1) + " else " + arg(2)
	case KForall, KExists:
		names := make([]string, len(e.Vars))
		for i, v := range e.Vars {
			names[i] = v.Name
		}
		word := map[Kind]string{KForall: "all", KExists: "some"}[e.Kind]
		return word + " " + strings.Join(names, ", ") + ": " + e.Args[0].String()
	}
	return joined(map[Kind]string{KEq: " = ", KAnd: " & ", KOr: " | ", KImplies: " => ",
		KLess: " < ", KAtMost: " <= ", KAdd: " + "}[e.Kind])
}
