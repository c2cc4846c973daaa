// SPDX-License-Identifier: Apache-2.0

package logic

import "strconv"

// expr reads an expression. From the weakest to the strongest: <=>, =>, |, &, !,
// comparisons, + and -. What a quantifier or if begins reaches as far as it can.
func (p *parser) expr() *Expr {
	e := p.implication()
	for p.accept("<=>") {
		e = Eq(p.of(Bool, e), p.of(Bool, p.implication()))
	}
	return e
}

func (p *parser) implication() *Expr {
	e := p.disjunction()
	if p.accept("=>") {
		return Implies(p.of(Bool, e), p.of(Bool, p.implication()))
	}
	return e
}

func (p *parser) disjunction() *Expr {
	e := p.conjunction()
	for p.accept("|") {
		e = Or(p.of(Bool, e), p.of(Bool, p.conjunction()))
	}
	return e
}

func (p *parser) conjunction() *Expr {
	e := p.comparison()
	for p.accept("&") {
		e = And(p.of(Bool, e), p.of(Bool, p.comparison()))
	}
	return e
}

func (p *parser) comparison() *Expr {
	if p.accept("!") {
		return Not(p.of(Bool, p.comparison()))
	}
	a := p.sum()
	less := func(kind Kind, a, b *Expr) *Expr {
		return &Expr{Kind: kind, Sort: Bool, Args: []*Expr{p.of(Int, a), p.of(Int, b)}}
	}
	switch {
	case p.accept("="):
		return Eq(a, p.of(a.Sort, p.sum()))
	case p.accept("!="):
		return Not(Eq(a, p.of(a.Sort, p.sum())))
	case p.accept("<"):
		return less(KLess, a, p.sum())
	case p.accept("<="):
		return less(KAtMost, a, p.sum())
	case p.accept(">"):
		return less(KLess, p.sum(), a)
	case p.accept(">="):
		return less(KAtMost, p.sum(), a)
	}
	return a
}

func (p *parser) sum() *Expr {
	e := p.primary()
	for {
		sign := 1
		if !p.accept("+") {
			if !p.accept("-") {
				return e
			}
			sign = -1
		}
		n, err := strconv.Atoi(p.next())
		if err != nil {
			p.fail("only numbers are added")
		}
		e = &Expr{Kind: KAdd, Sort: Int, Args: []*Expr{p.of(Int, e), Num(sign * n)}}
	}
}

func (p *parser) primary() *Expr {
	word := p.next()
	switch word {
	case "(":
		e := p.expr()
		p.expect(")")
		return e
	case "true":
		return True
	case "false":
		return False
	case "all", "some":
		outer := p.scope
		vars := p.variables()
		p.expect(":")
		body := p.formula()
		p.scope = outer
		if word == "all" {
			return Forall(vars, body)
		}
		return Exists(vars, body)
	case "if":
		cond := p.formula()
		p.expect("then")
		a := p.expr()
		p.expect("else")
		return Ite(cond, a, p.of(a.Sort, p.expr()))
	case "next":
		p.expect("(")
		e := p.expr()
		p.expect(")")
		return e.After((*Symbol).Changes)
	}
	if n, err := strconv.Atoi(word); err == nil {
		return Num(n)
	}
	for i := len(p.scope) - 1; i >= 0; i-- {
		if p.scope[i].Name == word {
			return Ref(p.scope[i])
		}
	}
	args := p.arguments()
	if d, ok := p.theory.defs[word]; ok && d.body != nil {
		return d.body.Substitute(p.bind(word, d.params, args))
	}
	return p.apply(word, args)
}

func (p *parser) arguments() []*Expr {
	var args []*Expr
	if p.accept("(") && !p.accept(")") {
		for {
			args = append(args, p.expr())
			if !p.accept(",") {
				break
			}
		}
		p.expect(")")
	}
	return args
}

func (p *parser) apply(name string, args []*Expr) *Expr {
	sym := p.theory.byName[name]
	if sym == nil {
		p.fail("%q is not known", name)
	}
	if len(args) != len(sym.Args) {
		p.fail("%s has %d arguments, not %d", name, len(sym.Args), len(args))
	}
	for i := range args {
		p.of(sym.Args[i], args[i])
	}
	return Apply(sym, args...)
}

func (p *parser) bind(name string, params []*Var, args []*Expr) map[*Var]*Expr {
	if len(args) != len(params) {
		p.fail("%s has %d arguments, not %d", name, len(params), len(args))
	}
	by := map[*Var]*Expr{}
	for i, v := range params {
		by[v] = p.of(v.Sort, args[i])
	}
	return by
}

// of checks that e is of sort s.
func (p *parser) of(s Sort, e *Expr) *Expr {
	if e.Sort != s {
		p.fail("%s is a %s where a %s is needed", e, e.Sort, s)
	}
	return e
}
