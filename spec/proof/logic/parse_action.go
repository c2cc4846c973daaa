// SPDX-License-Identifier: Apache-2.0

package logic

// sending is a message of an action: for all of each that satisfy cond.
type sending struct {
	sym  *Symbol
	args []*Expr
	each []*Var
	cond *Expr
}

func (p *parser) action() {
	a := &Action{Name: p.next()}
	if p.accept(".") {
		a.Branch = p.next()
	}
	a.Params = p.params()
	p.end()
	var sent []sending
	var forwarded *Symbol
	var received *Symbol
	for {
		word, ok := p.keyword(2)
		if !ok {
			break
		}
		outer := p.scope
		switch word {
		case "when":
			a.Guards = append(a.Guards, p.formula().Conjuncts()...)
		case "receive":
			sym, args := p.messageOf()
			received = sym
			a.Guards = append(a.Guards, Apply(sym, args...))
			u := a.updating(sym)
			u.Body = And(u.Body, Not(And(Apply(p.once(sym)), u.at(args))))
		case "send":
			s := sending{cond: True}
			if p.accept("each") {
				s.each = p.variables()
				p.expect(":")
			}
			s.sym, s.args = p.messageOf()
			if p.accept("if") {
				s.cond = p.formula()
			}
			sent = append(sent, s)
		case "forward":
			forwarded = received
			if received == nil {
				p.fail("what is forwarded must have been received")
			}
		case "put":
			sym, args := p.target()
			a.updating(sym).put(args, p.of(sym.Sort, p.expr()))
		case "set":
			sym := p.changing(p.next())
			vars := p.params()
			p.expect(":=")
			u := a.updating(sym)
			by := map[*Var]*Expr{}
			for i, v := range vars {
				by[v] = Ref(u.Params[i])
			}
			u.Body = p.of(sym.Sort, p.expr()).Substitute(by)
		case "choose":
			v := p.variables()
			p.expect("=")
			sym := p.changing(p.next())
			vars := p.params()
			p.expect(":")
			u := a.updating(sym)
			if len(v) != 1 || v[0].Sort != sym.Sort || len(vars) != len(u.Params) {
				p.fail("it must be one variable that is chosen for %s", sym.Name)
			}
			by := map[*Var]*Expr{}
			for i, w := range vars {
				by[w] = Ref(u.Params[i])
			}
			u.Choose, u.Body = v[0], p.formula().Substitute(by)
		case "uses":
			if a.Uses == nil {
				a.Uses = map[string][]string{}
			}
			goal := p.next()
			p.expect(":")
			for !p.ended() {
				a.Uses[goal] = append(a.Uses[goal], p.next())
			}
		case "show":
			a.Shows = append(a.Shows, p.named())
		case "as":
			name := p.next()
			d, ok := p.theory.defs[name]
			if !ok || d.parts == nil {
				p.fail("%q is no step", name)
			}
			by := p.bind(name, d.params, p.arguments())
			for _, part := range d.parts {
				a.Shows = append(a.Shows, Named{Name: part.Name, Formula: part.Formula.Substitute(by)})
			}
		default:
			p.fail("%q begins no clause of an action", word)
		}
		p.end()
		p.scope = outer
	}
	if forwarded != nil {
		a.Guards = append(a.Guards, Or(append([]*Expr{Apply(p.once(forwarded))}, news(sent)...)...))
	}
	for _, s := range sent {
		s.add(a.updating(s.sym))
	}
	p.theory.Actions = append(p.theory.Actions, a)
}

// news says for each sending that not all of it is in the network.
func news(sent []sending) []*Expr {
	var out []*Expr
	for _, s := range sent {
		out = append(out, Exists(s.each, And(s.cond, Not(Apply(s.sym, s.args...)))))
	}
	return out
}

// add has u hold what is sent. A variable that is one of the arguments needs no
// quantifier: it is what the update's own parameter is.
func (s sending) add(u *Update) {
	by := map[*Var]*Expr{}
	for i, arg := range s.args {
		if arg.Kind == KVar && by[arg.Var] == nil {
			for _, v := range s.each {
				if v == arg.Var {
					by[v] = Ref(u.Params[i])
				}
			}
		}
	}
	var rest []*Var
	for _, v := range s.each {
		if by[v] == nil {
			rest = append(rest, v)
		}
	}
	var same []*Expr
	for i, arg := range s.args {
		if arg.Kind == KVar && by[arg.Var] != nil && by[arg.Var].Var == u.Params[i] {
			continue
		}
		same = append(same, Eq(Ref(u.Params[i]), arg.Substitute(by)))
	}
	u.Body = Or(u.Body, Exists(rest, And(append(same, s.cond.Substitute(by))...)))
}

func (p *parser) changing(name string) *Symbol {
	sym := p.theory.byName[name]
	if sym == nil || !sym.Changes() {
		p.fail("%q is nothing that a step may change", name)
	}
	return sym
}

func (p *parser) target() (*Symbol, []*Expr) {
	name := p.next()
	sym := p.changing(name)
	args := p.arguments()
	p.apply(name, args)
	p.expect(":=")
	return sym, args
}

func (p *parser) messageOf() (*Symbol, []*Expr) {
	name := p.next()
	sym := p.changing(name)
	if sym.Role != Message {
		p.fail("%s is no message", name)
	}
	args := p.arguments()
	p.apply(name, args)
	return sym, args
}

// message declares a type of messages. Once tells whether they are received at
// most once; waitsFor(c) that none of those that are is under way for c.
func (p *parser) message() {
	sym := p.symbol(Message)
	once := p.declare(&Symbol{Name: "once" + sym.Name, Sort: Bool, Role: Fixed})
	client := &Var{Name: "c", Sort: "Client"}
	var vars []*Var
	var args []*Expr
	for i, s := range sym.Args {
		if s == "Client" && (i == 0 || sym.Args[0] != "Client") {
			args = append(args, Ref(client))
			continue
		}
		v := &Var{Name: "p", Sort: s}
		vars = append(vars, v)
		args = append(args, Ref(v))
	}
	none := Or(Not(Apply(once)), Forall(vars, Not(Apply(sym, args...))))
	if d, ok := p.theory.defs["nothingFor"]; ok {
		none = And(d.body, none.Substitute(map[*Var]*Expr{client: Ref(d.params[0])}))
		client = d.params[0]
	}
	p.theory.defs["nothingFor"] = &definition{params: []*Var{client}, body: none}
}

func (p *parser) once(sym *Symbol) *Symbol { return p.theory.byName["once"+sym.Name] }

// losses adds, for each type of messages that are received once, that the
// network loses one: Lose in Dalio.tla.
func (p *parser) losses() {
	losses := p.theory.byName["losses"]
	if losses == nil {
		return
	}
	for _, sym := range p.theory.Messages() {
		a := &Action{Name: "Lose", Branch: sym.Name}
		var args []*Expr
		for i, s := range sym.Args {
			v := &Var{Name: string(rune('a' + i)), Sort: s}
			a.Params = append(a.Params, v)
			args = append(args, Ref(v))
		}
		left := Apply(losses)
		a.Guards = []*Expr{Apply(sym, args...), Apply(p.once(sym)),
			{Kind: KLess, Sort: Bool, Args: []*Expr{Num(0), left}}}
		a.updating(sym).put(args, False)
		a.updating(losses).put(nil, &Expr{Kind: KAdd, Sort: Int, Args: []*Expr{left, Num(-1)}})
		if d, ok := p.theory.defs["Stutter"]; ok {
			a.Shows = append(a.Shows, d.parts...)
		}
		p.theory.Actions = append(p.theory.Actions, a)
	}
}
