// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"dalio/spec/proof/logic"
	"dalio/spec/proof/theory"
)

// The README's table has the conjuncts that there are, in their order and words.
func TestReadmeHasTheInvariant(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	th, err := theory.Dalio()
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, line)
		}
	}
	for i, n := range th.Invariants {
		want := fmt.Sprintf("| `%s` | %s | ", n.Name, n.Words)
		if i >= len(rows) || !strings.HasPrefix(rows[i], want) {
			t.Errorf("README.md has not the row %q in its place; go run ./spec/proof -needs prints the table", want)
		}
	}
}

// Every cure has its counterexample, whose action and conjunct there are.
func TestCures(t *testing.T) {
	th, err := theory.Dalio()
	if err != nil {
		t.Fatal(err)
	}
	cures := 0
	for _, s := range th.Symbols {
		if s.Role != logic.Cure {
			continue
		}
		cures++
		b, ok := breaks[s.Name]
		if !ok {
			t.Errorf("nothing says what is broken without %s", s.Name)
			continue
		}
		if !slices.ContainsFunc(th.Actions, func(a *logic.Action) bool { return a.ID() == b.action }) {
			t.Errorf("%s: there is no action %s", s.Name, b.action)
		}
	}
	if cures != len(breaks) {
		t.Errorf("%d cures, and %d are said to break something", cures, len(breaks))
	}
	state, err := os.ReadFile("../State.tla")
	if err != nil {
		t.Fatal(err)
	}
	// State.tla's cures are the theory's, or matter to liveness alone.
	_, text, _ := strings.Cut(string(state), `\* Cures.`)
	text, _, _ = strings.Cut(text, "VARIABLES")
	for _, line := range strings.Split(text, "\n")[2:] {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		name = strings.TrimSuffix(name, ",")
		if name != "" && name != "CONSTANTS" && th.Symbol(name) == nil {
			t.Errorf("the cure %s of State.tla is not in the theory", name)
		}
	}
}
