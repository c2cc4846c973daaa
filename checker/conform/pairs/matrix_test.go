// SPDX-License-Identifier: Apache-2.0

package pairs

import (
	"slices"
	"strings"
	"testing"

	"dalio/protocol"
)

// wholeMatrix has every cell that is not excused.
func wholeMatrix() matrix {
	m := matrix{}
	for _, branch := range branches {
		for _, condition := range conditionsOf(branch) {
			if c := (cell{branch, condition}); excused(c) == "" {
				m[c] = 1
			}
		}
	}
	return m
}

// TestMatrix: what is missing from a matrix is told, and so is what should be.
func TestMatrix(t *testing.T) {
	if _, _, wrong := wholeMatrix().judge(); len(wrong) > 0 {
		t.Fatalf("a full matrix is not: %v", wrong)
	}
	for _, c := range []struct {
		name  string
		alter func(matrix)
		wrong string
	}{
		{"an empty cell", func(m matrix) { delete(m, cell{"WriteAck: commits", partly}) },
			`"WriteAck: commits" was never taken with "pending, some acknowledged", and nothing says why`},
		{"an excused cell", func(m matrix) { m[cell{"WriteAck: commits", committed}] = 1 },
			`"WriteAck: commits" was taken with "committed", which is said not to be: no write is pending`},
		{"an unknown branch", func(m matrix) { m[cell{"WriteAck: forgotten", healthy}] = 1 },
			`the branch "WriteAck: forgotten" is not in the list`},
		{"a branch never taken", func(m matrix) {
			for c := range m {
				if c.branch == "Probe: probed" {
					delete(m, c)
				}
			}
		}, `the branch "Probe: probed" was never taken`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := wholeMatrix()
			c.alter(m)
			if _, _, wrong := m.judge(); !slices.Equal(wrong, []string{c.wrong}) {
				t.Errorf("it is told %q, not %q", wrong, c.wrong)
			}
		})
	}
}

// TestReasons: every reason is that of a branch, or has a test elsewhere.
func TestReasons(t *testing.T) {
	all := strings.Join(branches, "\n") + "\n"
	for _, r := range protocol.Reasons() {
		_, excused := elsewhere[r.String()]
		if is := strings.Contains(all, "drop "+r.String()+"\n"); is == excused {
			t.Errorf("%v: in the list of branches %v, said to be elsewhere %v", r, is, excused)
		}
	}
}

// TestExcuses: each fits some cell.
func TestExcuses(t *testing.T) {
	for _, e := range excuses {
		for _, condition := range e.conditions {
			found := false
			for _, branch := range branches {
				c := cell{branch, condition}
				found = found || slices.Contains(conditionsOf(branch), condition) && excused(c) == e.why
			}
			if !found {
				t.Errorf("nothing with %q is excused by %q", condition, e.why)
			}
		}
	}
}
