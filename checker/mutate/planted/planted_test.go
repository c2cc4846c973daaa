// SPDX-License-Identifier: Apache-2.0

package planted

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var errExit = errors.New("exit status 1")

// TestMistakes: each is one character of a passage that its file has once, and is taken
// back.
func TestMistakes(t *testing.T) {
	for _, m := range mistakes {
		if !oneCharacter(m.was, m.is) {
			t.Errorf("%s: %q and %q differ by more or less than a character", m.in, m.was, m.is)
		}
		original, err := os.ReadFile(filepath.Join("..", "..", "..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		path := filepath.Join(dir, m.file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, original, 0o644)); err != nil {
			t.Fatal(err)
		}
		line, restore, err := m.plant(dir)
		if err != nil {
			t.Error(err)
			continue
		}
		planted, err := os.ReadFile(path)
		if lines := strings.Split(string(planted), "\n"); err != nil || !strings.Contains(lines[line-1], m.is) {
			t.Errorf("%s: not on line %d: %v", m.in, line, err)
		}
		if _, _, err := m.plant(dir); err == nil {
			t.Errorf("%s: planted twice", m.in)
		}
		if err := restore(); err != nil {
			t.Error(err)
		}
		if again, err := os.ReadFile(path); err != nil || string(again) != string(original) {
			t.Errorf("%s: not taken back: %v", m.in, err)
		}
	}
}

func TestOneCharacter(t *testing.T) {
	for pair, want := range map[[2]string]bool{
		{"a < b", "a > b"}: true, {"!a", "a"}: true, {"a", "a!"}: true,
		{"a", "a"}: false, {"a < b", "b < a"}: false, {"a < b", "a <= c"}: false, {"a", "a!!"}: false,
	} {
		if got := oneCharacter(pair[0], pair[1]); got != want {
			t.Errorf("%q: %t", pair, got)
		}
	}
}

// TestNamesOfTLC: only a violated property is a name.
func TestNamesOfTLC(t *testing.T) {
	for what, c := range map[string]struct {
		out   string
		exit  error
		names string
		wrong bool
	}{
		"a model that passes":   {"failover 41971 states\nspec: 1 of 1 models pass, 14797 distinct states\n", nil, "", false},
		"an invariant":          {`failover WRONG: TLC ends with status 12, completed false, 9 states left, errors ["Invariant Linearizable is violated."]`, errExit, "invariant Linearizable", false},
		"a property of steps":   {`errors ["Action property StepsAreHandled is violated."]`, errExit, "action property StepsAreHandled", false},
		"a refinement":          {`errors ["Action property of module Register is violated."]`, errExit, "action property of module Register", false},
		"another count":         {"failover WRONG: the manifest says 41971 states generated, 14797 distinct, depth 25\nspec: 0 of 1 models pass\n", errExit, "", true},
		"what TLC cannot parse": {`TLC ends with status 150, completed false, errors ["Parsing or semantic analysis failed."]`, errExit, "", true},
		"nothing":               {"", nil, "", true},
	} {
		names, err := violations(c.out, c.exit)
		if strings.Join(names, ", ") != c.names || (err != nil) != c.wrong {
			t.Errorf("%s: %q, %v", what, names, err)
		}
	}
}

// TestNamesOfTests: only a test that failed by itself is one.
func TestNamesOfTests(t *testing.T) {
	for what, c := range map[string]struct {
		out   string
		exit  error
		names string
		wrong bool
	}{
		"tests that pass":       {"--- PASS: TestX (0.00s)\nPASS\n", nil, "", false},
		"a test that fails":     {"--- PASS: TestX (0.00s)\n--- FAIL: TestY (0.00s)\n    --- FAIL: TestY/a_case (0.00s)\nFAIL\n", errExit, "TestY", false},
		"a test that panics":    {"--- FAIL: TestY (0.00s)\npanic: index out of range\n", errExit, "", true},
		"a test that is late":   {"panic: test timed out after 30m0s\n", errExit, "", true},
		"a failure of no test":  {"--- PASS: TestX (0.00s)\nPASS\ngoleak: found unexpected goroutines\n", errExit, "", true},
		"a failure that passes": {"--- FAIL: TestY (0.00s)\n", nil, "", true},
		"what does not compile": {"x.go:1: undefined: y\nFAIL\tdalio/p [build failed]\n", errExit, "", true},
		"no test":               {"testing: warning: no tests to run\nPASS\n", nil, "", true},
	} {
		names, err := failures(c.out, c.exit)
		if strings.Join(names, ", ") != c.names || (err != nil) != c.wrong {
			t.Errorf("%s: %q, %v", what, names, err)
		}
	}
}

// TestCopyIsRemoved: by who has made it, and when that is gone.
func TestCopyIsRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "copy")
	if err := os.MkdirAll(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	remove, err := removing(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}
