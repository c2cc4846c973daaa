// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dalio/checker/internal/trial"
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
			test, err := trial.Parse(name)
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
				continue
			}
			function, _, _ := strings.Cut(test.Expected, "/")
			if !strings.Contains(read(filepath.Join(test.Folder, "*_test.go")), "\nfunc "+function+"(t *testing.T) {\n") {
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

// TestReadme: the evidence has as many as the tables.
func TestReadme(t *testing.T) {
	all, err := readTables(".")
	if err != nil {
		t.Fatal(err)
	}
	tried, excused, sample := 0, 0, 0
	for _, c := range all {
		if c.Sample {
			sample++
		}
		if c.Unnoticed != "" {
			excused++
		} else {
			tried++
		}
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("| %d of %d noticed, %d more excused with the reason; %d of them with every change |", tried, tried, excused, sample)
	if !strings.Contains(string(text), want) {
		t.Errorf("README.md does not say what the tables do: %s", want)
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
