// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"dalio/spec/proof/logic"
)

func allProofs(t *testing.T) []proof {
	t.Helper()
	all, err := proofs()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The README's tables have the conjuncts that there are, in their order and words.
func TestReadmeHasTheInvariants(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, line)
		}
	}
	i := 0
	for _, p := range allProofs(t) {
		for _, n := range p.theory.Invariants {
			want := fmt.Sprintf("| `%s` | %s | ", n.Name, n.Words)
			if i >= len(rows) || !strings.HasPrefix(rows[i], want) {
				t.Errorf("README.md has not the row %q in its place; go run ./spec/proof -needs prints the tables", want)
			}
			i++
		}
	}
}

// Every cure of a theory has its counterexample, whose action there is; and each
// of the specification's is in its theory, or the README says why not.
func TestCures(t *testing.T) {
	for i, p := range allProofs(t) {
		cures := 0
		for _, s := range p.theory.Symbols {
			if s.Role != logic.Cure {
				continue
			}
			cures++
			b, ok := p.breaks[s.Name]
			if !ok {
				t.Errorf("%s: nothing says what is broken without %s", p.name, s.Name)
			} else if !slices.ContainsFunc(p.theory.Actions, func(a *logic.Action) bool { return a.ID() == b.action }) {
				t.Errorf("%s: %s: there is no action %s", p.name, s.Name, b.action)
			}
		}
		if cures != len(p.breaks) {
			t.Errorf("%s: %d cures, and %d are said to break something", p.name, cures, len(p.breaks))
		}
		if i > 0 {
			continue // most cures of Shard.tla are of what replicas hold
		}
		state, err := os.ReadFile("../State.tla")
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(string(state), `\* Cures.`)
		text, _, _ = strings.Cut(text, "VARIABLES")
		for _, line := range strings.Split(text, "\n")[2:] {
			name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			name = strings.TrimSuffix(name, ",")
			if name != "" && name != "CONSTANTS" && p.theory.Symbol(name) == nil {
				t.Errorf("the cure %s of State.tla is not in the theory", name)
			}
		}
	}
}
