// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"fmt"
	"os"
	"strings"
)

// Memory is the resident memory of a process, in megabytes of 10^6 bytes.
type Memory struct {
	Before float64 `json:"before_megabytes"`
	Peak   float64 `json:"peak_megabytes"`
}

// beginMemory has the peak of a process count from now on.
func beginMemory(pid int) (Memory, error) {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return Memory{}, fmt.Errorf("measure memory: %w", err)
	}
	now, err := memoryOf(pid, "VmRSS")
	return Memory{Before: now}, err
}

// endMemory returns the memory with the peak since it was begun.
func endMemory(pid int, m Memory) (Memory, error) {
	var err error
	m.Peak, err = memoryOf(pid, "VmHWM")
	return m, err
}

func memoryOf(pid int, name string) (megabytes float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("measure memory: %w", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		var kilobytes float64
		if n, _ := fmt.Sscanf(line, name+": %f kB", &kilobytes); n == 1 {
			return kilobytes * 1024 / 1e6, nil
		}
	}
	return 0, fmt.Errorf("measure memory: the status of process %d has no %s", pid, name)
}
