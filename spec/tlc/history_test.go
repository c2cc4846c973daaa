// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// counterexample is in the form in which TLC prints one, though no such thing: in
// its last state b reads what a wrote. With staleCall in that place it reads
// nothing, after a's write was over.
const counterexample = `Error: Invariant Linearizable is violated.
Error: The behavior up to this point is:
State 1: <Initial predicate>
/\ losses = 0
/\ calls = [ a |-> [op |-> "none", key |-> None, value |-> None, status |-> "idle"],
  b |-> [op |-> "none", key |-> None, value |-> None, status |-> "idle"] ]

State 2: <InvokeWrite line 79, col 3 to line 84, col 64 of module Dalio>
/\ calls = [ a |-> [op |-> "write", key |-> "k", value |-> "a", status |-> "open"],
  b |-> [op |-> "none", key |-> None, value |-> None, status |-> "idle"] ]
/\ losses = 0

State 3: <CoordinatorStep line 433, col 6 to line 433, col 60 of module Dalio>
/\ losses = 1
/\ calls = [ a |-> [op |-> "write", key |-> "k", value |-> "a", status |-> "open"],
  b |-> [op |-> "none", key |-> None, value |-> None, status |-> "idle"] ]

State 4: <ClientStep line 420, col 6 to line 420, col 60 of module Dalio>
/\ calls = [ a |-> [op |-> "write", key |-> "k", value |-> "a", status |-> "ok"],
  b |-> [op |-> "none", key |-> None, value |-> None, status |-> "idle"] ]

State 5: <InvokeRead line 67, col 3 to line 71, col 56 of module Dalio>
/\ calls = [ a |-> [op |-> "write", key |-> "k", value |-> "a", status |-> "ok"],
  b |-> [op |-> "read", key |-> "k", value |-> None, status |-> "open"] ]

State 6: <ClientStep line 421, col 6 to line 421, col 60 of module Dalio>
/\ calls = [ a |-> [op |-> "write", key |-> "k", value |-> "a", status |-> "ok"],
  b |-> [op |-> "read", key |-> "k", value |-> "a", status |-> "ok"] ]

20919 states generated, 3909 distinct states found, 914 states left on queue.
`

const (
	lastCall  = `b |-> [op |-> "read", key |-> "k", value |-> "a", status |-> "ok"]`
	staleCall = `b |-> [op |-> "read", key |-> "k", value |-> Absent, status |-> "ok"]`
)

// withEnd puts something else in the place of what the last state says.
func withEnd(t *testing.T, old, new string) string {
	t.Helper()
	at := strings.LastIndex(counterexample, old)
	if at < 0 {
		t.Fatalf("the counterexample lacks %q", old)
	}
	return counterexample[:at] + new + counterexample[at+len(old):]
}

func TestCounterexampleBecomesAHistory(t *testing.T) {
	deletes := `b |-> [op |-> "read", key |-> "k", value |-> None, status |-> "open"]`
	text := strings.Replace(withEnd(t, lastCall, staleCall), deletes, strings.NewReplacer(`"read"`, `"write"`, "None", "Absent").Replace(deletes), 1)
	text = strings.Replace(text, staleCall, strings.Replace(staleCall, `"read"`, `"write"`, 1), 1)
	for _, c := range []struct{ text, end string }{
		{counterexample, `{"process":1,"type":"invoke","f":"read","key":"k","value":null,"time":5}
{"process":1,"type":"ok","f":"read","key":"k","value":"a","time":6}
`},
		{text, `{"process":1,"type":"invoke","f":"delete","key":"k","value":null,"time":5}
{"process":1,"type":"ok","f":"delete","key":"k","value":null,"time":6}
`},
	} {
		states, err := parseCalls(c.text)
		if err != nil {
			t.Fatal(err)
		}
		history, made, err := writeHistory(states)
		if err != nil {
			t.Fatal(err)
		}
		want := `{"process":0,"type":"invoke","f":"write","key":"k","value":"a","time":2}
{"process":0,"type":"ok","f":"write","key":"k","value":"a","time":4}
` + c.end
		if string(history) != want || made != 2 {
			t.Errorf("%d calls:\n%s\nwant 2:\n%s", made, history, want)
		}
	}
}

func TestEveryEndOfACallIsTold(t *testing.T) {
	for status, want := range map[string]string{"failed": "fail", "unknown": "info"} {
		states, err := parseCalls(withEnd(t, lastCall, strings.Replace(lastCall, `value |-> "a", status |-> "ok"`, `value |-> None, status |-> "`+status+`"`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		history, _, err := writeHistory(states)
		if line := `{"process":1,"type":"` + want + `","f":"read","key":"k","value":null,"time":6}`; err != nil || !strings.Contains(string(history), line) {
			t.Errorf("%s: %v, and this lacks %s:\n%s", status, err, line, history)
		}
	}
}

func TestTheAuditMustRefuteACounterexample(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	if _, err := auditRefutes(context.Background(), counterexample, path); err == nil || !strings.Contains(err.Error(), "linearizable") {
		t.Errorf("a history that is linearizable: %v", err)
	}
	made, err := auditRefutes(context.Background(), withEnd(t, lastCall, staleCall), path)
	if err != nil || made != 2 {
		t.Errorf("a stale read: %d calls, %v", made, err)
	}
	if text, err := os.ReadFile(path); err != nil || strings.Count(string(text), "\n") != 4 {
		t.Errorf("the history is not where it should be: %v\n%s", err, text)
	}
}

func TestWhatIsNoCounterexampleIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a pass":              recorded(t, "pass.txt"),
		"a state without":     withEnd(t, `/\ calls`, `/\ other`),
		"no calls at all":     withEnd(t, lastCall+" ]", "1"),
		"a value of no kind":  withEnd(t, lastCall, strings.Replace(lastCall, `"a"`, `<<1, 1>>`, 1)),
		"a call without key":  withEnd(t, lastCall, strings.Replace(lastCall, `key |-> "k", `, ``, 1)),
		"a client of no name": withEnd(t, lastCall, strings.Replace(lastCall, `b |->`, `b ->`, 1)),
	} {
		if states, err := parseCalls(text); err == nil {
			t.Errorf("%s is read as %v", name, states)
		}
	}
	for name, end := range map[string]string{
		"an unknown status":           strings.Replace(lastCall, `"ok"`, `"lost"`, 1),
		"a call undone":               `b |-> [op |-> "none", key |-> None, value |-> None, status |-> "idle"]`,
		"a client more":               lastCall + `, c |-> [op |-> "read", key |-> "k", value |-> "a", status |-> "ok"]`,
		"another call under its feet": strings.Replace(lastCall, `"ok"`, `"open"`, 1),
	} {
		states, err := parseCalls(withEnd(t, lastCall, end))
		if err != nil {
			t.Fatal(err)
		}
		if history, _, err := writeHistory(states); err == nil {
			t.Errorf("%s becomes\n%s", name, history)
		}
	}
}

// What clients see of each missing cure is kept as a history; checker/linear
// judges it.
func TestCounterexamplesAreKept(t *testing.T) {
	manifest, err := readManifest(filepath.Join("..", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want, kept []string
	for _, fail := range manifest.MustFail {
		if fail.ClientsSee {
			want = append(want, fail.Name+".jsonl")
		}
	}
	paths, err := filepath.Glob("../../traces/counterexamples/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		kept = append(kept, filepath.Base(path))
	}
	slices.Sort(want)
	slices.Sort(kept)
	if !slices.Equal(kept, want) {
		t.Errorf("traces/counterexamples has %v, the manifest asks for %v", kept, want)
	}
}
