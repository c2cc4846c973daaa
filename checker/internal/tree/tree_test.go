// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestCopy: what is tracked, and what would be, but not what is ignored or gone.
func TestCopy(t *testing.T) {
	root, dir := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	for name, content := range map[string]string{".gitignore": "built\n", "tracked": "t", "a/new": "n", "built": "b", "gone": "g", "../old": ""} {
		path := filepath.Join(root, name)
		if name == "../old" {
			path = filepath.Join(dir, "old")
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, arguments := range [][]string{{"init", "-q"}, {"add", "tracked", "gone"}} {
		git := exec.Command("git", arguments...)
		git.Dir = root
		if out, err := git.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", arguments, err, out)
		}
	}
	if err := os.Remove(filepath.Join(root, "gone")); err != nil {
		t.Fatal(err)
	}
	if err := Copy(t.Context(), root, dir); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			got = append(got, name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{".gitignore", "a/new", "tracked"}; !slices.Equal(got, want) {
		t.Errorf("copied %q, want %q", got, want)
	}
}
