// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTables: each passage is in its file once, and the tests that are named exist.
// Whether they notice is what the command finds out.
func TestTables(t *testing.T) {
	all, err := readTables(".")
	if err != nil {
		t.Fatal(err)
	}
	root, sample := filepath.Join("..", ".."), 0
	sources := map[string]string{}
	read := func(pattern string) string {
		if text, ok := sources[pattern]; ok {
			return text
		}
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			sources[pattern] += string(text)
		}
		return sources[pattern]
	}
	for _, c := range all {
		if without, err := c.takeOut(read(c.File)); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		} else if without == read(c.File) {
			t.Errorf("%s: nothing is taken out", c.Name)
		}
		for _, name := range c.Tests {
			test, err := parseTest(name)
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
				continue
			}
			function, _, _ := strings.Cut(test.expected, "/")
			if !strings.Contains(read(filepath.Join(test.folder, "*_test.go")), "\nfunc "+function+"(t *testing.T) {\n") {
				t.Errorf("%s: there is no test %s", c.Name, name)
			}
		}
		if c.Sample {
			sample++
		}
	}
	if sample == 0 {
		t.Error("no cure is in the sample that is tried with every change")
	}
}

func TestTablesThatAreRefused(t *testing.T) {
	good := cure{Name: "n", Rule: "r", File: "f", Passage: "p", Tests: []string{"bpf.TestX"}}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*cure){
		"no rule":              func(c *cure) { c.Rule = "" },
		"nothing taken out":    func(c *cure) { c.Change = c.Passage },
		"no test":              func(c *cure) { c.Tests = nil },
		"a test of no package": func(c *cure) { c.Tests = []string{"TestX"} },
		"a fuzz target":        func(c *cure) { c.Tests = []string{"bpf.FuzzX"} },
		"hazard 43":            func(c *cure) { c.Hazards = []int{43} },
	} {
		bad := good
		change(&bad)
		if bad.check() == nil {
			t.Errorf("%s is not noticed", what)
		}
	}
}

func TestTakeOut(t *testing.T) {
	c := cure{Passage: "if (a) return b;", Change: "$1"}
	if got, err := c.takeOut("x\n\tif (a)\n\t\treturn b;\ny"); err != nil || got != "x\n\t$1\ny" {
		t.Errorf("%q, %v", got, err)
	}
	for _, text := range []string{"", "if (a) return c;", "if (a) return b; if (a) return b;"} {
		if got, err := c.takeOut(text); err == nil {
			t.Errorf("taken out of %q, which leaves %q", text, got)
		}
	}
}

// TestJudge: only an assertion that failed shows that something was noticed.
func TestJudge(t *testing.T) {
	failure := errors.New("exit status 1")
	for what, c := range map[string]struct {
		test, out string
		exit      error
		failed    string
		refused   string
	}{
		"a test that passes":          {"p.TestX", "=== RUN   TestX\n--- PASS: TestX (0.00s)\nPASS\n", nil, "", ""},
		"a test that fails":           {"p.TestX", "    x_test.go:9: no\n--- FAIL: TestX (0.00s)\nFAIL\n", failure, "p.TestX", ""},
		"a case that fails":           {"p.TestX/29: a b", "--- FAIL: TestX (0.00s)\n    --- FAIL: TestX/29:_a_b (0.00s)\nFAIL\n", failure, "p.TestX/29:_a_b", ""},
		"another case that fails":     {"p.TestX/29: a b", "--- FAIL: TestX (0.00s)\n    --- FAIL: TestX/30:_a_b (0.00s)\nFAIL\n", failure, "", "no such test"},
		"a test that is not there":    {"p.TestX", "testing: warning: no tests to run\nPASS\n", nil, "", "no such test"},
		"a test that takes too long":  {"p.TestX", "panic: test timed out after 2m0s\n--- FAIL: TestX (0.00s)\n", failure, "", "shows nothing"},
		"a test that panics":          {"p.TestX", "--- FAIL: TestX (0.00s)\npanic: runtime error: index out of range\n", failure, "", "shows nothing"},
		"a test that is skipped":      {"p.TestX", "--- SKIP: TestX (0.00s)\nPASS\n", nil, "", "skipped"},
		"a failure outside the test":  {"p.TestX", "--- PASS: TestX (0.00s)\nPASS\ngoleak: found unexpected goroutines\n", failure, "", "differ"},
		"a process that was finished": {"p.TestX", "=== RUN   TestX\n", failure, "", "no such test"},
	} {
		test, err := parseTest(c.test)
		if err != nil {
			t.Fatal(err)
		}
		failed, err := judge(&test, c.out, c.exit)
		if failed != c.failed || (err != nil) != (c.refused != "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: %q, %v", what, failed, err)
		}
	}
}

func TestPatternsNameOneTest(t *testing.T) {
	test, err := parseTest("impl/replica.TestX/29: a (b)")
	if err != nil {
		t.Fatal(err)
	}
	function, cases, _ := strings.Cut(test.pattern, "/")
	if !regexp.MustCompile(function).MatchString("TestX") || regexp.MustCompile(function).MatchString("TestXY") ||
		!regexp.MustCompile(cases).MatchString("29: a (b) and c") || regexp.MustCompile(cases).MatchString("129: a (b)") {
		t.Errorf("the pattern is %s", test.pattern)
	}
}
