// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// killAll ends every process of the shard with SIGKILL, as a power loss does.
func (s *shardUp) killAll() {
	s.Helper()
	state := s.state()
	// Whoever starts them again goes first.
	s.end(syscall.SIGKILL)
	for _, r := range state.Replicas {
		_ = syscall.Kill(r.PID, syscall.SIGKILL) // It may have ended with its parent.
	}
	s.await("the end of all processes", func() bool {
		for _, r := range state.Replicas {
			if syscall.Kill(r.PID, 0) == nil {
				return false
			}
		}
		return true
	})
}

// TestPowerLoss kills everything at once, twice: all that was acknowledged is there
// when the shard is started in the same folder, and it is whole again.
func TestPowerLoss(t *testing.T) {
	s := startUp(t, "--durable")
	for round := range 2 {
		for i := range 5 {
			expect(t, 0, "", "", "put", "--dir", s.dir, fmt.Sprint("k", round, i), fmt.Sprint("v", round, i))
		}
		expect(t, 0, "", "", "delete", "--dir", s.dir, fmt.Sprint("k", round, 0))
		s.killAll()
		s = startUpIn(t, s.dir, "--durable")
		for i := 1; i < 5; i++ {
			for before := range round + 1 {
				expect(t, 0, fmt.Sprint("v", before, i), "", "get", "--dir", s.dir, fmt.Sprint("k", before, i))
			}
		}
		expect(t, exitAbsent, "", "key not found", "get", "--dir", s.dir, fmt.Sprint("k", round, 0))
		s.await("all in sync", func() bool { return s.status().Config.InSync() == 3 })
	}
	s.end(os.Interrupt)
	if r := dalio(t, "up", "--dir", s.dir); r.status != exitUsage || !strings.Contains(r.errors, "--durable") {
		t.Errorf("a shard in memory in the folder of a durable one: status %d, said %q", r.status, r.errors)
	}
	if found, _ := filepath.Glob(filepath.Join(s.dir, "data", "*", "db.damaged-*")); len(found) > 0 {
		t.Errorf("a power loss was taken for damage: %v", found)
	}
}
