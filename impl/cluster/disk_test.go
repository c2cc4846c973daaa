// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFullDisk fills a disk and makes room again.
func TestFullDisk(t *testing.T) {
	c := &Cluster{dir: t.TempDir(), diskBytes: 1 << 20}
	if err := c.FillDisk("replica0", true); err == nil {
		t.Error("filled a disk that is not there")
	}
	if err := c.makeDisk("replica0"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.dropDisks(); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(c.dataDir("replica0"), "something")
	if err := c.FillDisk("replica0", true); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, 4096), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("wrote to a full disk: %v", err)
	}
	if err := c.FillDisk("replica0", false); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
		t.Error(err)
	}
	if err := c.WipeDisk("replica0"); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(c.dataDir("replica0")); len(left) > 0 {
		t.Errorf("a wiped disk holds %v", left)
	}
}
