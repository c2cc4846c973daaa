// SPDX-License-Identifier: Apache-2.0

// Package built has tests run with the dalio command, which they start as shards do.
package built

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Run builds the dalio command, says where it is, and runs the tests. It is for TestMain,
// and returns the exit status.
func Run(m *testing.M, executable *string) int {
	dir, err := os.MkdirTemp("", "dalio-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*executable = filepath.Join(dir, "dalio")
	if out, err := exec.Command("go", "build", "-o", *executable, "dalio/impl/cmd/dalio").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the dalio command: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
