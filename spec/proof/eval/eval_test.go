// SPDX-License-Identifier: Apache-2.0

package eval

import (
	"testing"

	"dalio/spec/proof/logic"

	"pgregory.net/rapid"
)

const graph = `
sort Node p q
sort Int n m
var edge(Node, Node)
var mark(Node)
var cost(Node): Int
var last: Node

action Link(p, q)
  when !edge(p, q) & (mark(p) | cost(p) < cost(q))
  put edge(p, q) := true
  put cost(q) := if mark(p) then cost(p) else cost(q)
  put last := q

action Unmark(p)
  when some q: edge(q, p) & q = last
  set mark(q) := mark(q) & q != p
`

func system(t *rapid.T) (*System, *State) {
	th, err := logic.Parse(graph)
	if err != nil {
		t.Fatal(err)
	}
	u, err := NewUniverse(th, map[logic.Sort][]string{"Node": {"a", "b", "c"}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	s := NewState(u)
	bit := rapid.IntRange(0, 1)
	for p := range 3 {
		s.Set("mark", bit.Draw(t, "mark"), p)
		s.Set("cost", rapid.IntRange(0, 2).Draw(t, "cost"), p)
		for q := range 3 {
			s.Set("edge", bit.Draw(t, "edge"), p, q)
		}
	}
	s.Set("last", rapid.IntRange(0, 2).Draw(t, "last"))
	return NewSystem(u), s
}

// formula draws a formula over the variables in scope.
func formula(t *rapid.T, th *logic.Theory, depth int, scope []*logic.Var) *logic.Expr {
	sub := func() *logic.Expr { return formula(t, th, depth-1, scope) }
	node := func() *logic.Expr { return logic.Ref(rapid.SampledFrom(scope).Draw(t, "variable")) }
	cost := func() *logic.Expr { return logic.Apply(th.Symbol("cost"), node()) }
	kinds := 5
	if depth > 0 {
		kinds = 12
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0, 1:
		return logic.Apply(th.Symbol("edge"), node(), node())
	case 2:
		return logic.Apply(th.Symbol("mark"), node())
	case 3:
		return logic.Eq(node(), node())
	case 4:
		return &logic.Expr{Kind: logic.KLess, Sort: logic.Bool, Args: []*logic.Expr{cost(), cost()}}
	case 5:
		return logic.Not(sub())
	case 6:
		return logic.And(sub(), sub())
	case 7:
		return logic.Or(sub(), sub())
	case 8:
		return logic.Implies(sub(), sub())
	case 9:
		return logic.Eq(sub(), sub())
	case 10:
		return logic.Ite(sub(), sub(), sub())
	}
	v := &logic.Var{Name: "p", Sort: "Node"}
	body := formula(t, th, depth-1, append(append([]*logic.Var(nil), scope...), v))
	if rapid.Bool().Draw(t, "all") {
		return logic.Forall([]*logic.Var{v}, body)
	}
	return logic.Exists([]*logic.Var{v}, body)
}

// naive evaluates by trying all elements.
func naive(s *State, e *logic.Expr, values map[*logic.Var]int) int {
	arg := func(i int) int { return naive(s, e.Args[i], values) }
	switch e.Kind {
	case logic.KVar:
		return values[e.Var]
	case logic.KBool, logic.KInt:
		return e.N
	case logic.KApp:
		var args []int
		for i := range e.Args {
			args = append(args, arg(i))
		}
		return s.Get(e.Sym.Name, args...)
	case logic.KEq:
		return number(arg(0) == arg(1))
	case logic.KNot:
		return 1 - arg(0)
	case logic.KAnd:
		n := 1
		for i := range e.Args {
			n *= arg(i)
		}
		return n
	case logic.KOr:
		n := 0
		for i := range e.Args {
			n |= arg(i)
		}
		return n
	case logic.KImplies:
		return number(arg(0) <= arg(1))
	case logic.KIte:
		return arg(2 - arg(0))
	case logic.KLess:
		return number(arg(0) < arg(1))
	}
	found := number(e.Kind == logic.KForall)
	for v := range 3 {
		values[e.Vars[0]] = v
		if n := arg(0); n != found {
			return n
		}
	}
	return found
}

// What the evaluator finds by walking relations is what trying everything finds.
func TestFormulas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, at := system(t)
		p, q := &logic.Var{Name: "p", Sort: "Node"}, &logic.Var{Name: "q", Sort: "Node"}
		e := formula(t, s.Theory, 4, []*logic.Var{p, q})
		scope := map[*logic.Var]int{p: s.compiler.variable(p), q: s.compiler.variable(q)}
		n := s.compiler.compile(e, scope)
		got := map[[2]int]bool{}
		m := s.at(at)
		m.find([]goal{{n, true}}, []int{scope[p], scope[q]}, func() bool {
			got[[2]int{m.values[scope[p]], m.values[scope[q]]}] = true
			return false
		})
		for i := range 3 {
			for j := range 3 {
				want := naive(at, e, map[*logic.Var]int{p: i, q: j}) == 1
				if got[[2]int{i, j}] != want {
					t.Fatalf("%s for p = %d, q = %d: found %v, want %v, in\n%s", e, i, j, !want, want, at)
				}
			}
		}
		for v := range m.bound {
			if m.bound[v] {
				t.Fatalf("variable %d kept its value", v)
			}
		}
	})
}

// Steps change what they say and nothing else.
func TestSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, at := system(t)
		before := at.Key()
		links := 0
		for _, step := range s.Steps(at) {
			if at.Key() != before {
				t.Fatal("a step changed the state that it begins in")
			}
			want := at.Clone()
			if p := step.Args[0]; step.Action.Name == "Link" {
				links++
				q := step.Args[1]
				want.Set("edge", 1, p, q)
				if at.Get("mark", p) == 1 {
					want.Set("cost", at.Get("cost", p), q)
				}
				want.Set("last", q)
			} else {
				want.Set("mark", 0, p)
			}
			if d := want.Differs(step.To); d != nil {
				t.Fatalf("%s: %v differ, from\n%s\nto\n%s", step, d, at, step.To)
			}
		}
		want := 0
		for p := range 3 {
			for q := range 3 {
				if at.Get("edge", p, q) == 0 && (at.Get("mark", p) == 1 || at.Get("cost", p) < at.Get("cost", q)) {
					want++
				}
			}
		}
		if links != want {
			t.Fatalf("%d steps Link, want %d", links, want)
		}
	})
}

func TestAltered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, at := system(t)
		sym := rapid.SampledFrom(s.Theory.Symbols).Draw(t, "symbol")
		other := at.Altered(sym, rapid.IntRange(0, 1000).Draw(t, "seed"))
		if d := at.Differs(other); len(d) != 1 || d[0] != sym.Name {
			t.Fatalf("%v were altered, not %s", d, sym.Name)
		}
	})
}
