// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// judged has outcomes judged with the arguments given, as a whole run or a sample.
func judged(t *testing.T, arguments string, sample bool, all ...outcome) (score, error) {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "checker", "mutate", "arguments")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "k.json"), []byte(arguments), 0o644); err != nil {
		t.Fatal(err)
	}
	return judge(&options{root: root, sample: sample, match: regexp.MustCompile("")}, kind{name: "k", least: 3}, all)
}

func some(state string, n int) (all []outcome) {
	for i := range n {
		all = append(all, outcome{Name: fmt.Sprint(state, " ", i), Was: "x", Is: "y", State: state})
	}
	return all
}

// TestJudge: what is not noticed must be listed, what is listed must be there, and
// only what is argued to be equivalent does not count.
func TestJudge(t *testing.T) {
	const equivalent, listed = `[{"name":"^lived","why":"w","equivalent":true}]`, `[{"name":"^lived","why":"w"}]`
	for what, c := range map[string]struct {
		arguments string
		sample    bool
		all       []outcome
		complaint string
	}{
		"all killed":                {"[]", false, some(killed, 3), ""},
		"too few":                   {"[]", false, some(killed, 2), "3 are wanted"},
		"refused ones don't count":  {"[]", false, append(some(killed, 2), some(refused, 5)...), "3 are wanted"},
		"one lived":                 {"[]", false, append(some(killed, 99), some(lived, 1)...), "not listed"},
		"one lived in the sample":   {"[]", true, append(some(killed, 99), some(lived, 1)...), "not listed"},
		"one crashed":               {"[]", false, append(some(killed, 99), some(crashed, 1)...), "not listed"},
		"one was late":              {"[]", false, append(some(killed, 99), some(late, 1)...), "not listed"},
		"some are equivalent":       {equivalent, false, append(some(killed, 50), some(lived, 50)...), ""},
		"some are listed":           {listed, false, append(some(killed, 95), some(lived, 5)...), ""},
		"too many are listed":       {listed, false, append(some(killed, 94), some(lived, 6)...), "must be 95%"},
		"an argument for nothing":   {equivalent, false, some(killed, 3), "fits no mutant"},
		"nothing in a sample":       {equivalent, true, some(killed, 3), ""},
		"another change":            {`[{"name":"^lived","was":"z","why":"w","equivalent":true}]`, false, append(some(killed, 99), some(lived, 1)...), "not listed"},
		"the code tells":            {"[]", false, append(some(killed, 3), some(compared, 3)...), ""},
		"pinned counts tell":        {"[]", false, append(some(killed, 99), some(counted, 1)...), "not listed"},
		"one excused already":       {"[]", false, append(some(killed, 3), outcome{Name: "lived 0", State: lived, Why: "w"}), ""},
		"an argument without words": {`[{"name":"^lived"}]`, false, some(killed, 3), "says nothing"},
	} {
		_, err := judged(t, c.arguments, c.sample, c.all...)
		if (err != nil) != (c.complaint != "") || err != nil && !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("%s: %v, want %q", what, err, c.complaint)
		}
	}
	s, _ := judged(t, equivalent, false, append(some(killed, 96), some(lived, 4)...)...)
	if s.raw() != 96 || s.adjusted() != 100 || s.Argued != 4 {
		t.Errorf("the score is %+v", s)
	}
}

// TestArguments: those that are kept can be read.
func TestArguments(t *testing.T) {
	for _, k := range kinds() {
		if _, err := readArguments(filepath.Join("arguments", k.name+".json")); err != nil {
			t.Error(err)
		}
	}
}
