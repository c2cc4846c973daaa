// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalio/checker/linear"
	"dalio/traces"
)

const (
	good     = "../../../traces/testdata/good/delete.jsonl"
	bad      = "../../../traces/testdata/bad/stale-read.jsonl"
	goodEDN  = "../../../traces/testdata/good/jepsen.edn"
	badEDN   = "../../../traces/testdata/bad/jepsen-stale-read.edn"
	threeKey = "../../../traces/testdata/bad/one-key-of-three.jsonl"
)

// audited runs the command and returns its status and what it printed.
func audited(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = run(context.Background(), args, &out, &err)
	return status, out.String(), err.String()
}

// file writes a file for the test.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExitStatus(t *testing.T) {
	empty := file(t, "empty.jsonl", "")
	broken := file(t, "broken.jsonl", "{}\n")
	tests := []struct {
		name string
		args []string
		want int
		says string // on standard error
	}{
		{"linearizable", []string{good}, 0, ""},
		{"not linearizable", []string{bad}, 1, ""},
		{"undecided", []string{"--timeout", "1ns", good}, 3, ""},
		{"an empty file", []string{empty}, 2, empty + ": the history is empty"},
		{"an unreadable line", []string{broken}, 2, broken + ":1: the field \"process\" is missing"},
		{"a missing file", []string{"no-such-file"}, 2, "no-such-file"},
		{"a directory", []string{t.TempDir()}, 2, "is a directory"},
		{"unreadable goes before bad", []string{bad, empty, good}, 2, "empty"},
		{"bad goes before good", []string{good, bad}, 1, ""},
		{"no history", nil, 2, "arg"},
		{"an unknown flag", []string{"--frobnicate", good}, 2, "frobnicate"},
		{"an unknown format", []string{"--format", "xml", good}, 2, "jsonl or edn"},
		{"a negative timeout", []string{"--timeout", "-1s", good}, 2, "negative"},
		{"EDN by name", []string{goodEDN}, 0, ""},
		{"bad EDN", []string{badEDN}, 1, ""},
		{"EDN by flag", []string{"--format", "edn", badEDN}, 1, ""},
		{"the wrong format", []string{"--format", "jsonl", badEDN}, 2, badEDN + ":1: not valid JSON"},
		{"the wrong format the other way", []string{"--format=edn", good}, 2, good + ":1"},
		{"help", []string{"--help"}, 0, ""},
	}
	for _, test := range tests {
		status, _, stderr := audited(test.args...)
		if status != test.want || !strings.Contains(stderr, test.says) {
			t.Errorf("%s: status %d, stderr %q; want status %d and %q", test.name, status, stderr, test.want, test.says)
		}
		if test.want != exitUnreadable && stderr != "" {
			t.Errorf("%s: stderr has %q", test.name, stderr)
		}
	}
}

// TestTimeoutIsKept judges keys on each of which one absence more was seen than
// there are deletes of unknown outcome: a search would try for ever.
func TestTimeoutIsKept(t *testing.T) {
	const keys, deletes, timeout = 3, 40, time.Second
	var out bytes.Buffer
	now := int64(0)
	rec := traces.NewRecorderClock(&out, func() int64 { now++; return now })
	do := func(process int, f, key string, value *string, end string) {
		rec.Invoke(process, f, key, value)
		rec.Complete(process, end, nil)
	}
	for k := range keys {
		key := fmt.Sprint("k", k)
		for i := range deletes {
			do(1+k*deletes+i, traces.Delete, key, nil, traces.Info)
		}
		for i := range deletes + 1 {
			v := fmt.Sprint("v", i)
			do(0, traces.Write, key, &v, traces.OK)
			do(0, traces.Read, key, nil, traces.OK)
		}
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	path := file(t, "hard.jsonl", out.String())
	start := time.Now()
	status, stdout, _ := audited("--timeout", timeout.String(), path)
	if took := time.Since(start); status != 3 || took < timeout || took > timeout+time.Second {
		t.Errorf("status %d after %v with a timeout of %v: %s", status, took, timeout, stdout)
	}
	if n := strings.Count(stdout, "is undecided"); n != keys {
		t.Errorf("%d keys are undecided, want %d: %s", n, keys, stdout)
	}
}

// TestExitStatusOfSeveralVerdicts covers what takes a history whose time runs
// out beside one whose time does not.
func TestExitStatusOfSeveralVerdicts(t *testing.T) {
	of := func(verdict string) history { return history{report: linear.Report{Verdict: verdict}} }
	const yes, no, open = linear.Linearizable, linear.NotLinearizable, linear.Undecided
	tests := []struct {
		histories []history
		want      int
	}{
		{[]history{of(yes), of(open)}, 3},
		{[]history{of(open), of(yes)}, 3},
		{[]history{of(open), of(no)}, 1},
		{[]history{of(no), of(open), of(yes)}, 1},
		{[]history{of(yes), of(yes)}, 0},
		{[]history{of(no), {err: os.ErrNotExist}}, 2},
	}
	for _, test := range tests {
		if got := exitStatus(test.histories); got != test.want {
			t.Errorf("%v give status %d, want %d", test.histories, got, test.want)
		}
	}
}

type contract struct {
	Verdict string
	Keys    []struct {
		Key, Verdict string
		Operations   int
		Core         []map[string]any
	}
	Unreadable []map[string]string
}

func TestJSON(t *testing.T) {
	status, stdout, _ := audited("--json", threeKey)
	var out contract
	decoder := json.NewDecoder(strings.NewReader(stdout))
	if err := decoder.Decode(&out); err != nil || decoder.More() {
		t.Fatalf("the output is not one JSON object (%v): %s", err, stdout)
	}
	if status != 1 || out.Verdict != "not linearizable" || len(out.Keys) != 3 {
		t.Fatalf("status %d, verdict %q, %d keys", status, out.Verdict, len(out.Keys))
	}
	for i, want := range []struct {
		key, verdict     string
		operations, core int
	}{{"x", "linearizable", 2, 0}, {"y", "not linearizable", 3, 3}, {"z", "linearizable", 1, 0}} {
		k := out.Keys[i]
		if k.Key != want.key || k.Verdict != want.verdict || k.Operations != want.operations ||
			k.Core == nil || len(k.Core) != want.core {
			t.Errorf("key %d is %+v, want %+v", i, k, want)
		}
	}
	last := out.Keys[1].Core[2]
	if last["f"] != "read" || last["value"] != "b" || last["process"] != 2.0 || last["line"] != 7.0 {
		t.Errorf("the last operation of the core is %v", last)
	}
}

func TestJSONOfAnUnreadableHistoryIsNoPass(t *testing.T) {
	status, stdout, stderr := audited("--json", good, "no-such-file")
	var out contract
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		t.Fatal(err)
	}
	if status != 2 || out.Verdict != "undecided" || len(out.Unreadable) != 1 || stderr == "" {
		t.Errorf("status %d, output %s, stderr %q", status, stdout, stderr)
	}
}

func TestTextNamesTheCore(t *testing.T) {
	_, stdout, _ := audited(bad)
	for _, want := range []string{
		"not linearizable (4 operations, 1 key)", `C  line 7: process 2 reads "a", from 70 to 80`, `C read "a", but "a" was gone`,
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the text lacks %q:\n%s", want, stdout)
		}
	}
}
