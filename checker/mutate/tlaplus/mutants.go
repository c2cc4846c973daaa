// SPDX-License-Identifier: Apache-2.0

// Package tlaplus makes mutants of the specification: in the definitions of the
// protocol's actions one operator is changed, or one condition left out.
package tlaplus

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Module is a module of the specification.
type Module struct {
	Name, Text string
	// Constants are those that name a cure. What mentions one is not mutated: with
	// all cures in place it is dead, or taken out by a must-fail configuration.
	Constants []string
	// Actions is in how many lines from the first the actions are, and OnlyBroken has
	// those that only a missing cure makes possible, and no model takes.
	Actions    int
	OnlyBroken []string
}

// Mutant is a module in which one thing is changed.
type Mutant struct {
	// Name tells the mutant from all others: the operator, the module, the definition
	// and the line, with its number among those alike.
	Name string `json:"name"`
	// Place is where, Was the line that is changed, and Is what becomes of it.
	Place string `json:"place"`
	Was   string `json:"was"`
	Is    string `json:"is"`

	module string
	text   string
}

// Module is the name of the module that is changed, and Text what becomes of it.
func (m *Mutant) Module() string { return m.module }

// Text returns the whole module with the change.
func (m *Mutant) Text() string { return m.text }

var definition = regexp.MustCompile(`^([A-Z]\w*)(\([^)]*\))? ==`)

// Mutants returns all mutants of a module, in the order of its lines.
func (m *Module) Mutants() []Mutant {
	lines := strings.Split(m.Text, "\n")
	code := blank(lines)
	cure := regexp.MustCompile(`\b(` + strings.Join(m.Constants, "|") + `)\b`)
	var all []Mutant
	named := map[string]int{}
	name, skipped := "", true
	for at, line := range code {
		if d := definition.FindStringSubmatch(line); d != nil {
			name, skipped = d[1], slices.Contains(m.OnlyBroken, d[1])
		} else if strings.HasPrefix(line, "---") || strings.HasPrefix(line, "===") {
			name, skipped = "", true
		}
		if skipped || at >= m.Actions || strings.TrimSpace(line) == "" || len(m.Constants) != 0 && cure.MatchString(line) {
			continue
		}
		for _, o := range operators {
			for _, changed := range o.change(code, at) {
				full := fmt.Sprintf("%s in %s.tla %s: %s", o.name, m.Name, name, strings.TrimSpace(line))
				named[full]++
				if n := named[full]; n > 1 {
					full = fmt.Sprintf("%s (%d)", full, n)
				}
				text := slices.Clone(lines)
				text[at] = changed
				all = append(all, Mutant{Name: full, Place: fmt.Sprintf("spec/%s.tla:%d", m.Name, at+1), Was: strings.TrimSpace(line),
					Is: strings.TrimSpace(changed), module: m.Name, text: strings.Join(text, "\n")})
			}
		}
	}
	return all
}

// blank returns the lines with their comments blanked. Comments of more than a line
// are boxes, of which each line begins and ends with a parenthesis and an asterisk.
func blank(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		switch comment := strings.Index(line, `\*`); {
		case strings.HasPrefix(strings.TrimSpace(line), "(*"):
			line = ""
		case comment >= 0:
			line = strings.TrimRight(line[:comment], " ")
		}
		out[i] = line
	}
	return out
}
