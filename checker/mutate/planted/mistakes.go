// SPDX-License-Identifier: Apache-2.0

// Package planted plants mistakes of one character in a copy of what is checked out, one
// at a time, and demands that the step of make test that looks there fails by a check of
// what the system does, and names it.
package planted

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mistake is a passage in which one character is wrong: another, one too many or one that
// lacks.
type mistake struct {
	in       string // what it is planted in
	file     string // relative to the repository
	was, is  string // was must be in the file once
	noticing step
}

// step is a part of make test: a model that TLC checks, or tests of a package.
type step struct {
	model    string
	folder   string
	tests    []string // all of the package if there are none
	generate bool     // the objects are made anew before
}

func (s *step) String() string {
	switch {
	case s.model != "":
		return "tlc -only " + s.model + " spec"
	case len(s.tests) != 0:
		return "go test -run '" + s.pattern() + "' ./" + s.folder
	}
	return "go test ./" + s.folder
}

func (s *step) pattern() string {
	if len(s.tests) == 0 {
		return ""
	}
	return "^(" + strings.Join(s.tests, "|") + ")$"
}

var mistakes = []mistake{
	{in: "the specification", file: "spec/ShardData.tla", was: `ELSE e.seq > m.version[2] \/`, is: `ELSE e.seq = m.version[2] \/`,
		noticing: step{model: "failover"}},
	{in: "the Go model", file: "protocol/coordinator.go", was: "case e.Seq < m.Version.Seq:", is: "case e.Seq > m.Version.Seq:",
		noticing: step{folder: "protocol"}},
	// Objects that differ from the committed ones, or whose counts do, tell nothing of what
	// the programs do: so only tests that say.
	{in: "the C code", file: "bpf/replica.h", was: "!(covers(p, word) && commit_covered(p, e, word))", is: "(covers(p, word) && commit_covered(p, e, word))",
		noticing: step{folder: "bpf", generate: true, tests: []string{"TestNothingUncommittedIsSeen", "TestHazards", "TestModelAgainstBytecode"}}},
	{in: "the control plane", file: "impl/coordinator/membership/manager.go", was: "len(unfenced) > 0 && v.Now < until", is: "len(unfenced) > 0 && v.Now > until",
		noticing: step{folder: "impl/coordinator/membership"}},
}

// plant changes a file below dir, and returns the line of the mistake and how to put the
// file back.
func (m *mistake) plant(dir string) (line int, restore func() error, err error) {
	path := filepath.Join(dir, filepath.FromSlash(m.file))
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, err
	}
	before, after, found := strings.Cut(string(text), m.was)
	if !found || strings.Contains(after, m.was) {
		return 0, nil, fmt.Errorf("%s must have this passage once, change the table: %s", m.file, m.was)
	}
	restore = func() error { return os.WriteFile(path, text, 0o644) }
	return 1 + strings.Count(before, "\n"), restore, os.WriteFile(path, []byte(before+m.is+after), 0o644)
}

// oneCharacter says whether a text becomes the other by one character.
func oneCharacter(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	same := 0
	for same < len(b) && a[same] == b[same] {
		same++
	}
	if len(a) == len(b) {
		return same < len(a) && a[same+1:] == b[same+1:]
	}
	return len(a) == len(b)+1 && a[same+1:] == b[same:]
}
