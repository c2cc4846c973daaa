// SPDX-License-Identifier: Apache-2.0

package logic

import (
	"strings"
	"testing"
)

const small = `
sort Node p q
sort Int n m
none nobody: Node
var token: Node
var visits(Node): Int
message Pass(Node, Node)
var losses: Int
def has(p) = token = p
def noted(n) = some q: visits(q) = n
init token = nobody

action Give(p, q)
  when has(p) & p != q
  put token := nobody
  send Pass(p, q)

action Take.late(p, q)
  receive Pass(p, q)
  when !noted(visits(q) + 1)
  put token := q
  put visits(q) := visits(q) + 1
  forward
  show grows: next(visits(q)) = visits(q) + 1

invariant Once "visits are counted": all p: visits(p) >= 0
`

func parsed(t *testing.T, text string) *Theory {
	t.Helper()
	th, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return th
}

func TestParse(t *testing.T) {
	th := parsed(t, small)
	var ids []string
	for _, a := range th.Actions {
		ids = append(ids, a.ID())
	}
	if got := strings.Join(ids, " "); got != "Give Take.late Lose.Pass" {
		t.Errorf("actions %s", got)
	}
	give, take := th.Actions[0], th.Actions[1]
	for _, c := range []struct{ got, want string }{
		{give.Guards[0].String(), "token = p"},
		{give.Updates[0].Definition(), "(define-fun |token'| () Node nobody)\n"},
		{give.Updates[1].Definition(), "(define-fun |Pass'| ((p!p0 Node)(p!p1 Node)) Bool (or (Pass p!p0 p!p1) (and (= p!p0 p) (= p!p1 q))))\n"},
		{take.Updates[0].Definition(), "(define-fun |Pass'| ((p!p0 Node)(p!p1 Node)) Bool (and (Pass p!p0 p!p1) (not (and oncePass (= p!p0 p) (= p!p1 q)))))\n"},
		{take.Guards[1].SMT(), "(not (exists ((q!1 Node)) (= (visits q!1) (+ (visits q) 1))))"},
		{take.Guards[2].String(), "oncePass"},
		{take.Shows[0].Formula.SMT(), "(= (|visits'| q) (+ (visits q) 1))"},
		{th.Invariants[0].Formula.SMT(), "(forall ((p!1 Node)) (<= 0 (visits p!1)))"},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"token = p", "token = 3", "line 10: 3 is a Int where a Node is needed"},
		{"def has(p)", "def has(z)", `variables of no sort are called "z"`},
		{"put visits(q) := visits(q) + 1", "put visits(q) := nobody", "nobody is a Node where a Int is needed"},
		{"put visits(q) := visits(q) + 1", "put has(q) := true", `"has" is nothing that a step may change`},
		{"send Pass(p, q)", "send Pass(p)", "Pass has 2 arguments, not 1"},
		{"send Pass(p, q)", "send visits(p)", "visits is no message"},
		{"receive Pass(p, q)", "when true", "what is forwarded must have been received"},
		{"init token", "begin token", `"begin" begins no statement`},
		{"  when has", "  if has", `"if" begins no clause`},
		{"var losses", "var token", "token is declared twice"},
		{"visits are counted", "visits are \"counted", "has no end"},
		{"all p: visits(p) >= 0", "all p: visits(p)", "not a formula"},
		{"all p: visits(p) >= 0", "all p: visits(p) >= 0)", `")" is not expected here`},
		{"has(p) & p != q", "has(p) & (", "more is expected here"},
	} {
		text := strings.Replace(small, c.old, c.new, 1)
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q instead of %q: error %v, want one with %q", c.new, c.old, err, c.want)
		}
	}
}

// What is put for a variable must not be captured by a quantifier, nor may two
// uses of a definition share their variables.
func TestSubstitute(t *testing.T) {
	th := parsed(t, small)
	vars, body := th.Definition("noted")
	q := &Var{Name: "q", Sort: "Node"}
	e := body.Substitute(map[*Var]*Expr{vars[0]: Apply(th.Symbol("visits"), Ref(q))})
	if got, want := e.SMT(), "(exists ((q!1 Node)) (= (visits q!1) (visits q)))"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if e.Vars[0] == body.Vars[0] {
		t.Error("the quantifier kept its variable")
	}
}
