// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Now is the clock that leases are measured by: the one that the programs read,
// this machine's since it was started, in whatever time namespace the process is.
func Now() time.Duration { return read(unix.CLOCK_MONOTONIC) }

// lastTick is Now as it was at the kernel's last tick, which is what the programs
// stamp messages with.
func lastTick() time.Duration { return read(unix.CLOCK_MONOTONIC_COARSE) }

func read(clock int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		panic(err) // There is no machine without it.
	}
	return time.Duration(ts.Nano()) - ahead()
}

// ahead is by how much this process's monotonic clock is ahead of the programs'. A
// control plane that took its own for theirs would renew a lease that has run out.
var ahead = sync.OnceValue(func() time.Duration {
	file, err := os.Open("/proc/self/timens_offsets")
	if errors.Is(err, fs.ErrNotExist) {
		return 0 // A kernel without time namespaces.
	}
	if err != nil {
		panic(fmt.Errorf("read how far the clock of this time namespace is ahead: %w", err))
	}
	defer file.Close()
	offset, err := monotonicOffset(file)
	if err != nil {
		panic(fmt.Errorf("read how far the clock of this time namespace is ahead: %w", err))
	}
	return offset
})

// monotonicOffset reads lines of a clock, seconds and nanoseconds each.
func monotonicOffset(r io.Reader) (time.Duration, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var clock string
		var seconds, nanoseconds int64
		if _, err := fmt.Sscan(lines.Text(), &clock, &seconds, &nanoseconds); err != nil {
			return 0, fmt.Errorf("line %q: %w", lines.Text(), err)
		}
		if clock == "monotonic" {
			return time.Duration(seconds)*time.Second + time.Duration(nanoseconds), nil
		}
	}
	return 0, errors.Join(errors.New("no line of the monotonic clock"), lines.Err())
}
