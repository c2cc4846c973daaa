// SPDX-License-Identifier: Apache-2.0

package solver

import (
	"context"
	"strings"
	"testing"
	"time"

	"dalio/spec/proof/logic"
	"dalio/spec/proof/theory"
)

const limit = time.Minute

func parsed(t *testing.T, text string) *logic.Theory {
	t.Helper()
	th, err := logic.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return th
}

// A lock that at most one node has.
const lock = `
sort Node p q
sort Int n m
cure Free
var holds(Node)
var turns(Node): Int
init all p: !holds(p) & turns(p) = 0
action Take(p)
  when (all q: !holds(q)) | !Free
  put holds(p) := true
  put turns(p) := turns(p) + 1
  show Grows: next(turns(p)) > turns(p)
invariant One "one has it": all p, q: holds(p) & holds(q) => p = q
invariant Counted "turns are counted": all p: turns(p) >= 0
`

func TestProve(t *testing.T) {
	th := parsed(t, lock)
	for _, c := range []struct {
		off  map[string]bool
		want map[string]Verdict
	}{
		{nil, map[string]Verdict{"One": Unsat, "Counted": Unsat, "Grows": Unsat}},
		{map[string]bool{"Free": true}, map[string]Verdict{"One": Sat, "Counted": Unsat, "Grows": Unsat}},
	} {
		got, err := ProveStep(context.Background(), th, th.Actions[0], c.off, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range got {
			if x.Verdict != c.want[x.Goal] {
				t.Errorf("without %v, %s: %s, want %s", c.off, x.Goal, x.Verdict, c.want[x.Goal])
			}
		}
	}
	start, err := ProveStart(context.Background(), th, limit)
	if err != nil || len(start) != 2 || start[0].Verdict != Unsat || start[1].Verdict != Unsat {
		t.Errorf("the start: %v, %v", start, err)
	}
}

var two = Scope{Sizes: map[logic.Sort]int{"Node": 2}, Most: 2}

func TestExamples(t *testing.T) {
	th := parsed(t, lock)
	x, err := Takes(context.Background(), th, th.Actions[0], two, limit)
	if err != nil || x.Verdict != Sat || x.Step == nil {
		t.Errorf("a state in which the lock is taken: %v, %v", x.Verdict, err)
	}
	if x, err = Starts(context.Background(), th, two, limit); err != nil || x.Verdict != Sat {
		t.Errorf("an initial state: %v, %v", x.Verdict, err)
	}
	if x, err = Counterexample(context.Background(), th, th.Actions[0], nil, "One", two, limit); err != nil || x.Verdict != Unsat {
		t.Errorf("a counterexample to what is proved: %v, %v", x.Verdict, err)
	}
	x, err = Counterexample(context.Background(), th, th.Actions[0], map[string]bool{"Free": true}, "One", two, limit)
	if err != nil || x.Verdict != Sat {
		t.Fatalf("a counterexample: %v, %v", x.Verdict, err)
	}
	if got := x.Step.To.Line("holds"); got != "holds(n0), holds(n1)" {
		t.Errorf("after it %s", got)
	}
	if _, err = Counterexample(context.Background(), th, th.Actions[0], nil, "None", two, limit); err == nil {
		t.Error("a goal that there is not was accepted")
	}
}

// Whatever z3 claims is evaluated again.
func TestConfirm(t *testing.T) {
	th := parsed(t, lock)
	x, err := Takes(context.Background(), th, th.Actions[0], two, limit)
	if err != nil {
		t.Fatal(err)
	}
	broken := x.From.Clone()
	broken.Set("holds", 1, 0)
	broken.Set("holds", 1, 1)
	for _, c := range []struct {
		x        Example
		args     []int
		violated string
		want     string
	}{
		{Example{From: broken}, []int{0}, "", "violates One"},
		{Example{From: x.From}, []int{2}, "", "cannot be taken"},
		{Example{From: x.From}, []int{0}, "One", "does not violate One"},
	} {
		if err := c.x.confirm(th.Actions[0], c.args, c.violated); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

// An undecided question is no proof, and takes no longer than its limit.
func TestUndecided(t *testing.T) {
	th := parsed(t, `
sort Int n m
var f(Int): Int
init true
action Guess(n)
  when all m: f(f(m)) = f(m + 1) & f(m) != f(f(m) + 1)
  put f(n) := 0
  show Odd: n = 0
invariant Any "nothing": true
`)
	from := time.Now()
	got, err := ProveStep(context.Background(), th, th.Actions[0], nil, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if v := got[len(got)-1].Verdict; v != Unknown || time.Since(from) > limit {
		t.Errorf("%s after %v, want unknown", v, time.Since(from))
	}
}

// A conjunct of the invariant that others rest on: without it they are lost.
func TestWithoutConjunct(t *testing.T) {
	for _, c := range []struct{ without, action, lost string }{
		{"OwnersNonce", "HandleOpenRequest.again", "OneNonce"},
		{"Acks", "HandleWriteAck.commit", "CommittedEverywhere"},
		{"PendingInTable", "HandleReadReply.release", "Released"},
		{"Mark", "HandleWrite.stale", "Acknowledged"},
	} {
		text := theory.Text()
		from := strings.Index(text, "invariant "+c.without+" ")
		to := from + strings.Index(text[from:], "\ninvariant ") + 1
		th := parsed(t, text[:from]+text[to:])
		for _, a := range th.Actions {
			if a.ID() != c.action {
				continue
			}
			x, err := Counterexample(context.Background(), th, a, nil, c.lost, Scope{
				Sizes: map[logic.Sort]int{"Client": 3, "Replica": 2, "Slot": 2, "Session": 3, "Key": 2, "Value": 3}, Most: 3}, limit)
			if err != nil || x.Verdict != Sat {
				t.Errorf("without %s, %s should lose %s: %s, %v", c.without, c.action, c.lost, x.Verdict, err)
			}
		}
	}
}

func TestModelErrors(t *testing.T) {
	th := parsed(t, lock)
	for _, c := range []struct{ text, want string }{
		{"", "ends early"},
		{"((define-fun holds ((x Node)) Bool", "ends early"},
		{"() x", "goes on after its end"},
		{"((declare-fun a () Node) (define-fun holds ((x Node)) Bool (frob x)))", `"frob"`},
		{"((declare-fun a () Node) (define-fun turns ((x Node)) Int 99))", "out of bounds"},
		{"((define-fun turns ((x Node) (y Node)) Int 1))", "2 arguments in the model"},
	} {
		if _, _, err := readModel(th, c.text, nil, nil, 4); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.text, err, c.want)
		}
	}
}
