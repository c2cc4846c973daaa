// SPDX-License-Identifier: Apache-2.0

package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEmptyDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "build", "results")
	left := filepath.Join(dir, "left")
	for range 2 {
		if err := EmptyDir(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(left); err == nil {
			t.Fatal("the last run's results are there")
		}
		if err := os.WriteFile(left, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// What nobody has marked is somebody's.
	if err := os.Remove(filepath.Join(dir, mark)); err != nil {
		t.Fatal(err)
	}
	if err := EmptyDir(dir); err == nil || !strings.Contains(err.Error(), "name another folder") {
		t.Errorf("a folder with something else: %v", err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Error("somebody's file was removed")
	}
}

func TestDalio(t *testing.T) {
	if path, err := Dalio("given"); err != nil || path != "given" {
		t.Errorf("%q, %v", path, err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if path, err := Dalio(""); err != nil || path != filepath.Join(filepath.Dir(self), "dalio") {
		t.Errorf("%q, %v", path, err)
	}
}
