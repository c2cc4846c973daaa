// SPDX-License-Identifier: Apache-2.0

package logic

import (
	"fmt"
	"strings"
)

// definition is a name for an expression with parameters, expanded where it is
// used; or, where it has parts, for what a step must satisfy.
type definition struct {
	params []*Var
	body   *Expr
	parts  []Named
}

// Parse reads a theory. A statement begins at the start of a line, its clauses
// are indented by two spaces, and what continues a clause by more:
//
//	sort Replica r q          a sort, and the first letters of its variables' names
//	sort Int n m v
//	enum Op o = read write
//	none noClient: Client     the element that stands for none
//	fixed slot(Session): Slot
//	cure Gate
//	var acks(Slot, Replica)   without a sort of its own: a relation
//	message Read(Replica, Client, Int)
//	def open(c) = status(c) = open
//	axiom name: formula
//	init formula
//	invariant Name "in words": formula
//	start name: formula
//	step ReturnRead(c, x)
//	  calls: formula
//	action HandleRead.branch(r, c, n)
//	  receive Read(r, c, n)
//	  when formula
//	  put f(args) := term
//	  set f(variables) := term
//	  choose v = f(variables): formula
//	  send Read(args) if formula
//	  send each q: Read(q, c, n) if formula
//	  forward
//	  uses conjunct: conjuncts
//	  show name: formula
//	  as ReturnRead(c, x)
//
// A clause uses names the conjuncts that are enough to prove that another is
// preserved, where z3 loses itself in all of them.
//
// In the formulas of a step and of show, next(e) is e after the step. forward is
// the rule of the same name in State.tla: passing on what is in the network
// already is no step.
func Parse(text string) (*Theory, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	t := &Theory{letters: map[string]Sort{}, byName: map[string]*Symbol{}, defs: map[string]*definition{}}
	p := &parser{theory: t, tokens: tokens}
	if err := p.guard(p.theoryText); err != nil {
		return nil, err
	}
	return t, nil
}

type parser struct {
	theory *Theory
	tokens []token
	at     int
	scope  []*Var
}

// syntax is what the parser panics with; guard makes an error of it.
type syntax struct{ error }

func (p *parser) guard(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s, ok := r.(syntax)
			if !ok {
				panic(r)
			}
			err = s.error
		}
	}()
	f()
	return nil
}

func (p *parser) fail(format string, args ...any) {
	line := 0
	if at := min(p.at, len(p.tokens)-1); at >= 0 {
		line = p.tokens[at].line
	}
	panic(syntax{fmt.Errorf("line %d: %s", line, fmt.Sprintf(format, args...))})
}

// peek is the next token of the clause, empty at its end.
func (p *parser) peek() string {
	if p.ended() {
		return ""
	}
	return p.tokens[p.at].text
}

func (p *parser) ended() bool {
	return p.at >= len(p.tokens) || (p.tokens[p.at].indent >= 0 && p.tokens[p.at].indent <= 2)
}

func (p *parser) next() string {
	s := p.peek()
	if s == "" {
		p.fail("more is expected here")
	}
	p.at++
	return s
}

func (p *parser) accept(s string) bool {
	if p.ended() || p.tokens[p.at].quoted || p.tokens[p.at].text != s {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(s string) {
	if !p.accept(s) {
		p.fail("%q is expected, not %q", s, p.peek())
	}
}

func (p *parser) end() {
	if !p.ended() {
		p.fail("%q is not expected here", p.peek())
	}
}

// keyword is the first token of a statement (indent 0) or clause (indent 2).
func (p *parser) keyword(indent int) (string, bool) {
	if p.at >= len(p.tokens) || p.tokens[p.at].indent != indent {
		return "", false
	}
	p.at++
	return p.tokens[p.at-1].text, true
}

func (p *parser) theoryText() {
	for p.at < len(p.tokens) {
		word, ok := p.keyword(0)
		if !ok {
			p.fail("a statement begins at the start of a line")
		}
		statement, ok := statements[word]
		if !ok {
			p.fail("%q begins no statement", word)
		}
		p.scope = nil
		statement(p)
		p.end()
	}
	p.losses()
}

var statements map[string]func(*parser)

func init() {
	statements = map[string]func(*parser){
		"sort": (*parser).sort, "enum": (*parser).enum, "action": (*parser).action, "step": (*parser).step, "def": (*parser).def,
		"none":    func(p *parser) { p.symbol(Element) },
		"fixed":   func(p *parser) { p.symbol(Fixed) },
		"cure":    func(p *parser) { p.symbol(Cure) },
		"var":     func(p *parser) { p.symbol(State) },
		"message": func(p *parser) { p.message() },
		"axiom":   func(p *parser) { p.theory.Axioms = append(p.theory.Axioms, p.named()) },
		"start":   func(p *parser) { p.theory.Starts = append(p.theory.Starts, p.named()) },
		"invariant": func(p *parser) {
			p.theory.Invariants = append(p.theory.Invariants, p.named())
		},
		"init": func(p *parser) { p.theory.Init = append(p.theory.Init, p.formula()) },
	}
}

func (p *parser) sort() {
	s := Sort(p.next())
	if s != Int {
		p.theory.Sorts = append(p.theory.Sorts, s)
	}
	p.lettersOf(s)
}

func (p *parser) lettersOf(s Sort) {
	for !p.ended() && p.peek() != "=" {
		p.theory.letters[p.next()] = s
	}
}

func (p *parser) enum() {
	s := Sort(p.next())
	p.lettersOf(s)
	p.expect("=")
	if p.theory.Enums == nil {
		p.theory.Enums = map[Sort][]string{}
	}
	p.theory.EnumOrder = append(p.theory.EnumOrder, s)
	for !p.ended() {
		name := p.next()
		p.theory.Enums[s] = append(p.theory.Enums[s], name)
		p.declare(&Symbol{Name: name, Sort: s, Role: Element})
	}
}

func (p *parser) declare(s *Symbol) *Symbol {
	if p.theory.byName[s.Name] != nil || p.theory.defs[s.Name] != nil {
		p.fail("%s is declared twice", s.Name)
	}
	p.theory.byName[s.Name] = s
	p.theory.Symbols = append(p.theory.Symbols, s)
	return s
}

func (p *parser) symbol(role Role) *Symbol {
	s := &Symbol{Name: p.next(), Sort: Bool, Role: role}
	if p.accept("(") {
		for {
			s.Args = append(s.Args, Sort(p.next()))
			if !p.accept(",") {
				break
			}
		}
		p.expect(")")
	}
	if p.accept(":") {
		s.Sort = Sort(p.next())
	}
	return p.declare(s)
}

func (p *parser) def() {
	name := p.next()
	d := &definition{params: p.params()}
	p.expect("=")
	d.body = p.expr()
	p.name(name, d)
}

func (p *parser) step() {
	name := p.next()
	d := &definition{params: p.params()}
	p.end()
	for {
		part, ok := p.keyword(2)
		if !ok {
			break
		}
		p.expect(":")
		d.parts = append(d.parts, Named{Name: name + " " + part, Formula: p.formula()})
		p.end()
	}
	p.name(name, d)
}

func (p *parser) name(name string, d *definition) {
	if p.theory.byName[name] != nil || p.theory.defs[name] != nil {
		p.fail("%s is declared twice", name)
	}
	p.theory.defs[name] = d
}

// params reads parameters, if there are any, and has them in scope.
func (p *parser) params() []*Var {
	var out []*Var
	if p.accept("(") {
		if p.accept(")") {
			return nil
		}
		out = p.variables()
		p.expect(")")
	}
	return out
}

func (p *parser) variables() []*Var {
	var out []*Var
	for {
		name := p.next()
		s, ok := p.theory.letters[strings.TrimRight(name, "0123456789")]
		if !ok {
			p.fail("variables of no sort are called %q", name)
		}
		v := &Var{Name: name, Sort: s}
		out = append(out, v)
		if !p.accept(",") {
			p.scope = append(p.scope, out...)
			return out
		}
	}
}

func (p *parser) named() Named {
	n := Named{Name: p.next()}
	if !p.ended() && p.tokens[p.at].quoted {
		n.Words = p.next()
	}
	p.expect(":")
	n.Formula = p.formula()
	return n
}

func (p *parser) formula() *Expr {
	e := p.expr()
	if e.Sort != Bool {
		p.fail("%s is a %s, not a formula", e, e.Sort)
	}
	return e
}
