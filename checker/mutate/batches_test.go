// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// binary stands in for one of tests: mutant 1 is noticed by TestB, 2 by nobody, 3 has
// TestA panic and is noticed by TestB, 4 has both panic, 5 comes to no end, 6 fails
// the first time.
const binary = `#!/bin/sh
run=$3
end() { echo "--- $1: $2 (0.00s)"; [ "$1" = PASS ] || { echo FAIL; exit 1; }; }
panics() { echo "panic: no"; exit 2; }
case "$DALIO_MUTANT/$run" in
1/*TestB*|3/*"(TestB)"*) end FAIL TestB ;;
3/*TestA*|4/*) panics ;;
5/*) printf '\npanic: test timed out after 1s\n'; exit 2 ;;
6/*) [ -e failed ] || { : >failed; end FAIL TestA; } ;;
esac
end PASS TestA
`

// TestTryMutant: only an assertion that fails, again where time matters, kills a mutant.
func TestTryMutant(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tests"), []byte(binary), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		number    int
		timed     bool
		state, by string
	}{
		{0, false, lived, "no test comes to it"},
		{1, false, killed, "TestB"},
		{1, true, killed, "TestB"},
		{2, false, lived, "all tests that come to it pass"},
		{3, false, killed, "TestB"},
		{4, false, crashed, "TestB: "},
		{5, false, late, "TestA"},
		{6, true, lived, "all tests that come to it pass"},
		{6, false, killed, "TestA"},
	} {
		if err := os.RemoveAll(filepath.Join(dir, "failed")); err != nil {
			t.Fatal(err)
		}
		b := batch{binary: filepath.Join(dir, "tests"), tests: []string{"TestA", "TestB"}, timed: c.timed, reached: []byte{0, 1, 1, 1, 1, 1, 1}, took: time.Second}
		state, by := tryMutant(t.Context(), &options{root: dir}, c.number, []batch{b})
		if state != c.state || !strings.Contains(by, c.by) {
			t.Errorf("mutant %d is %s by %q, want %s by %q", c.number, state, by, c.state, c.by)
		}
	}
}
