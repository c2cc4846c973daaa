// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dalio/checker/conform/edges"
)

// TestVerdict: only a violated property kills, and what TLC can't read is no mutant.
func TestVerdict(t *testing.T) {
	for what, c := range map[string]struct {
		exit              int
		text, state, says string
	}{
		"no violation":          {0, "Model checking completed. No error has been found.\n", lived, ""},
		"an invariant":          {12, "Error: Invariant Chain is violated.\nError: The behavior up to this point is:\n", killed, "m: Invariant Chain is violated"},
		"a property of steps":   {13, "Error: Action property StepsAreHandled is violated.\n", killed, "StepsAreHandled"},
		"a refinement":          {13, "Error: Action property line 1, col 2 to line 1, col 3 of module Register is violated.\n", killed, "Register"},
		"liveness":              {13, "Error: Temporal properties were violated.\n", killed, "Temporal"},
		"a state without a key": {75, "Error: Successor state is not completely specified by action A\n", refused, "status 75, Error: Successor"},
		"a parse error":         {150, "*** Parse Error ***\n", refused, "Parse Error"},
		"a status alone":        {12, "\n", refused, "status 12"},
		"no end":                {-1, "Progress(10)\n", late, "did not come to an end"},
		"no end, but an error":  {-1, "Error: Invariant Chain is violated.\n", late, ""},
	} {
		if state, by := verdict("m", c.exit, c.text); state != c.state || !strings.Contains(by, c.says) {
			t.Errorf("%s: %s, %q", what, state, by)
		}
	}
}

// TestSpecMutants: there are enough, and some that no argument excuses in the sample.
func TestSpecMutants(t *testing.T) {
	root := filepath.Join("..", "..")
	known, err := readSpecManifest(filepath.Join(root, "spec"))
	if err != nil {
		t.Fatal(err)
	}
	arguments, err := readArguments(filepath.Join("arguments", "spec.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[bool]map[string]bool{}
	for _, sample := range []bool{false, true} {
		mutants, err := specMutants(filepath.Join(root, "spec"), known, arguments, &options{sample: sample, match: regexp.MustCompile("")})
		if err != nil {
			t.Fatal(err)
		}
		all[sample] = map[string]bool{}
		for _, m := range mutants {
			if all[sample][m.Name] {
				t.Errorf("two mutants are called %s", m.Name)
			}
			all[sample][m.Name] = true
		}
	}
	if len(all[false]) < 50 || len(all[true]) < 2 {
		t.Errorf("%d are chosen, and %d as a sample", len(all[false]), len(all[true]))
	}
	for name := range all[true] {
		if !all[false][name] {
			t.Errorf("only the sample has %s", name)
		}
	}
}

// TestBound: the models that judge are small, the smallest first, and there are both kinds
// for each module.
func TestBound(t *testing.T) {
	root := filepath.Join("..", "..")
	known, err := readSpecManifest(filepath.Join(root, "spec"))
	if err != nil {
		t.Fatal(err)
	}
	c := &checking{models: known.Models}
	if c.compared, err = edges.Models(root); err != nil {
		t.Fatal(err)
	}
	c.bound()
	checked, compared := map[string]int{}, map[string]int{}
	for i, m := range c.models {
		checked[m.Module]++
		if m.Full || m.Generated > mostGenerated || i > 0 && m.Generated < c.models[i-1].Generated {
			t.Errorf("%s is too large, or comes too late", m.Name)
		}
	}
	for i, m := range c.compared {
		compared[m.Module]++
		if m.Generated > mostGenerated || i > 0 && m.Generated < c.compared[i-1].Generated {
			t.Errorf("%s is too large, or comes too late", m.Name)
		}
	}
	for module, by := range specModules {
		if checked[by.checked] <= enoughModels || compared[by.compared] < 2 {
			t.Errorf("%s is checked by %d models, and compared by %d", module, checked[by.checked], compared[by.compared])
		}
	}
}
