// SPDX-License-Identifier: Apache-2.0

package files

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// TestReplaceJSON: a file holds the value, and what can't be written leaves it as it was.
func TestReplaceJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	const want = "{\n  \"a\": 1\n}\n"
	for _, value := range []any{[]int{1, 2}, map[string]int{"a": 1}} {
		if err := ReplaceJSON(path, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := ReplaceJSON(path, math.Inf(1)); err == nil {
		t.Error("a number that JSON does not have is written")
	}
	if err := os.Mkdir(path+".new", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := ReplaceJSON(path, 1); err == nil {
		t.Error("nobody misses the place to write to")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("the file holds %q (%v), want %q", got, err, want)
	}
}
