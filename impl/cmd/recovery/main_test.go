// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"dalio/checker/linear"
	"dalio/impl/recovery"
)

func TestParts(t *testing.T) {
	for given, want := range map[string][]string{
		"":                 nil,
		"rejoin":           {"rejoin"},
		"host-lost,rejoin": {"host-lost", "rejoin"},
	} {
		if c, err := parse([]string{"-parts", given}); err != nil || !slices.Equal(c.parts, want) {
			t.Errorf("-parts %q: %+v, %v", given, c, err)
		}
	}
	// The end of a name is none: nothing would be measured, and nothing missed.
	for _, given := range []string{"killed", "lost,rejoin", "everything"} {
		if _, err := parse([]string{"-parts", given}); err == nil || !strings.Contains(err.Error(), "want some of replica-killed,") {
			t.Errorf("-parts %q: %v", given, err)
		}
	}
}

// TestStatus: the worst part decides, in whatever order they come.
func TestStatus(t *testing.T) {
	met := &recovery.Part{Name: "met", Verdict: linear.Linearizable}
	late := &recovery.Part{Name: "late", Verdict: linear.Linearizable, Targets: []recovery.Target{{What: "first write"}}}
	undecided := &recovery.Part{Name: "undecided", Verdict: linear.Undecided}
	wrong := &recovery.Part{Name: "wrong", Verdict: linear.NotLinearizable}
	for _, c := range []struct {
		parts []*recovery.Part
		want  int
	}{
		{[]*recovery.Part{met}, exitMet},
		{[]*recovery.Part{late, met}, exitNotMet},
		{[]*recovery.Part{undecided, late}, exitUndecided},
		{[]*recovery.Part{late, undecided}, exitUndecided},
		{[]*recovery.Part{undecided, wrong, late}, exitNotLinearizable},
	} {
		var said bytes.Buffer
		if got := status(&said, &recovery.Report{Parts: c.parts}, "dir"); got != c.want {
			t.Errorf("status %d, want %d: %s", got, c.want, said.String())
		}
		for _, p := range c.parts {
			if told := strings.Contains(said.String(), p.Name+":"); told == (p == met) {
				t.Errorf("of %s it says: %s", p.Name, said.String())
			}
		}
	}
}
