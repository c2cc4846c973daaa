// SPDX-License-Identifier: Apache-2.0

package jar

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnotherJarIsRefused(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "build", "tools", "tlc.jar")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Fetch(t.Context(), root, Artifact{File: "tlc.jar", SHA256: strings.Repeat("0", 64)})
	if err == nil || !strings.Contains(err.Error(), "not the pinned") {
		t.Errorf("a jar with another sum is taken: %v", err)
	}
}

func TestThePinnedJarIsNamed(t *testing.T) {
	a, err := Pinned(filepath.Join("..", ".."))
	if err != nil || len(a.SHA256) != 64 || a.File == "" || a.Coordinates == "" {
		t.Errorf("the manifest names %+v (%v)", a, err)
	}
}
