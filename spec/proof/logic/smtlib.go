// SPDX-License-Identifier: Apache-2.0

package logic

import (
	"fmt"
	"strings"
)

// SMT is e in SMT-LIB 2. Variables that are free in it are printed as constants
// of their names.
func (e *Expr) SMT() string {
	p := printer{names: map[*Var]string{}}
	p.print(e)
	return p.String()
}

// NameAt is the name of sym in SMT-LIB 2, before the step or after it.
func (sym *Symbol) NameAt(next bool) string {
	if next {
		return "|" + sym.Name + "'|"
	}
	return sym.Name
}

type printer struct {
	strings.Builder
	names map[*Var]string // of the variables that are bound here
	count int
}

func (p *printer) print(e *Expr) {
	switch e.Kind {
	case KVar:
		if name, ok := p.names[e.Var]; ok {
			p.WriteString(name)
		} else {
			p.WriteString(e.Var.Name)
		}
	case KInt:
		if e.N < 0 {
			fmt.Fprintf(p, "(- %d)", -e.N)
		} else {
			fmt.Fprint(p, e.N)
		}
	case KBool:
		fmt.Fprint(p, e.N != 0)
	case KApp:
		if len(e.Args) == 0 {
			p.WriteString(e.Sym.NameAt(e.Next))
			return
		}
		p.list(e.Sym.NameAt(e.Next), e.Args)
	case KForall, KExists:
		p.WriteString(map[Kind]string{KForall: "(forall (", KExists: "(exists ("}[e.Kind])
		for _, v := range e.Vars {
			p.count++
			p.names[v] = fmt.Sprintf("%s!%d", v.Name, p.count)
			fmt.Fprintf(p, "(%s %s)", p.names[v], v.Sort)
		}
		p.WriteString(") ")
		p.print(e.Args[0])
		p.WriteString(")")
	default:
		p.list(map[Kind]string{KEq: "=", KNot: "not", KAnd: "and", KOr: "or", KImplies: "=>",
			KIte: "ite", KLess: "<", KAtMost: "<=", KAdd: "+"}[e.Kind], e.Args)
	}
}

func (p *printer) list(head string, args []*Expr) {
	p.WriteString("(" + head)
	for _, a := range args {
		p.WriteString(" ")
		p.print(a)
	}
	p.WriteString(")")
}

// Declaration declares sym, before the step, to the solver.
func (sym *Symbol) Declaration() string {
	args := make([]string, len(sym.Args))
	for i, s := range sym.Args {
		args[i] = string(s)
	}
	return fmt.Sprintf("(declare-fun %s (%s) %s)\n", sym.Name, strings.Join(args, " "), sym.Sort)
}

// Definition defines the symbol of an update after the step.
func (u *Update) Definition() string {
	p := printer{names: map[*Var]string{}}
	if u.Choose != nil {
		args := make([]*Expr, len(u.Params))
		for i, v := range u.Params {
			args[i] = Ref(v)
		}
		after := Apply(u.Sym, args...).After(func(*Symbol) bool { return true })
		declared := *u.Sym
		declared.Name = u.Sym.NameAt(true)
		return declared.Declaration() + "(assert " + Forall(u.Params, u.Body.Substitute(map[*Var]*Expr{u.Choose: after})).SMT() + ")\n"
	}
	fmt.Fprintf(&p, "(define-fun %s (", u.Sym.NameAt(true))
	for i, v := range u.Params {
		p.names[v] = fmt.Sprintf("%s!p%d", v.Name, i)
		fmt.Fprintf(&p, "(%s %s)", p.names[v], v.Sort)
	}
	fmt.Fprintf(&p, ") %s ", u.Sym.Sort)
	p.print(u.Body)
	p.WriteString(")\n")
	return p.String()
}
