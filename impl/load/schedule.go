// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// maxBacklog bounds how many operations are due and not begun. Who offers more than
// is done for longer than that finds the schedule held up, but each operation's time
// in it the same.
const maxBacklog = 1 << 16

// shortestNap is how long the schedule sleeps at least: operations that are due within
// it are begun together, so that waking up costs less than they do.
const shortestNap = 20 * time.Microsecond

// schedule says when operations are due, at a rate that doesn't depend on when others
// end: the gaps between them are exponential, as those of many independent clients.
type schedule struct{ due chan time.Time }

// begin makes the schedule, which ends with the context or after the longest time.
func begin(ctx context.Context, rate float64, longest time.Duration, seed uint64) *schedule {
	s := &schedule{due: make(chan time.Time, maxBacklog)}
	go s.run(ctx, rate, longest, rand.New(rand.NewPCG(seed, math.Float64bits(rate))))
	return s
}

func (s *schedule) run(ctx context.Context, rate float64, longest time.Duration, random *rand.Rand) {
	defer close(s.due)
	// The runtime's timers are late by up to a millisecond when there is nothing else
	// to do, the kernel's are not; the thread ends with the goroutine.
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	start := time.Now()
	for at := time.Duration(0); ; {
		at += time.Duration(random.ExpFloat64() / rate * float64(time.Second))
		if at >= longest || ctx.Err() != nil {
			return
		}
		if wait := at - time.Since(start); wait > 0 {
			nap := unix.NsecToTimespec(max(wait, shortestNap).Nanoseconds())
			// One that a signal ends early is due a little early.
			_ = unix.Nanosleep(&nap, nil)
		}
		select {
		case s.due <- start.Add(at):
		case <-ctx.Done():
			return
		}
	}
}
