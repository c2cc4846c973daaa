// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"fmt"
	"sync"
	"time"

	"dalio/impl/load"
	"dalio/traces"
)

// Op is an operation of a client. Times count from the start of the timeline.
type Op struct {
	// Write tells puts from reads.
	Write        bool
	OK           bool
	Begun, Ended time.Duration
}

// Timeline has the operations of all clients of a run, in the order in which they
// ended. It is safe for concurrent use.
type Timeline struct {
	start time.Time

	mu  sync.Mutex
	ops []Op
}

// NewTimeline returns a timeline that starts now.
func NewTimeline() *Timeline { return &Timeline{start: time.Now()} }

// Now returns the time since the start.
func (t *Timeline) Now() time.Duration { return time.Since(t.start) }

// Watch returns the client, whose operations are on the timeline from now on.
func (t *Timeline) Watch(c load.Client) load.Client { return watched{c, t} }

type watched struct {
	load.Client
	timeline *Timeline
}

func (w watched) Do(ctx context.Context, f, key, value string) load.Answer {
	begun := w.timeline.Now()
	a := w.Client.Do(ctx, f, key, value)
	w.timeline.add(Op{Write: f == traces.Write, OK: a.Outcome == traces.OK, Begun: begun})
	return a
}

// add adds an operation that ends now.
func (t *Timeline) add(o Op) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o.Ended = t.Now()
	t.ops = append(t.ops, o)
}

// Count returns how many operations have ended.
func (t *Timeline) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.ops)
}

// from returns the operations from the one with the index on. They do not change.
func (t *Timeline) from(index int) []Op {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ops[index:len(t.ops):len(t.ops)]
}

// First returns the first of the operations to end OK that are writes, or reads,
// and were begun at that time or later.
func First(ops []Op, write bool, begun time.Duration) (Op, bool) {
	for _, o := range ops {
		if o.OK && o.Write == write && o.Begun >= begun {
			return o, true
		}
	}
	return Op{}, false
}

// awaitPoll is how often Await looks. It has no part in what is measured.
const awaitPoll = time.Millisecond

// Await waits until there is a First among the operations that ended after the
// index'th.
func (t *Timeline) Await(ctx context.Context, index int, write bool, begun time.Duration) (Op, error) {
	for {
		if o, ok := First(t.from(index), write, begun); ok {
			return o, nil
		}
		select {
		case <-time.After(awaitPoll):
		case <-ctx.Done():
			kind := "read"
			if write {
				kind = "write"
			}
			return Op{}, fmt.Errorf("no %s that was begun after the failure has ended OK %v later: %w", kind, t.Now()-begun, ctx.Err())
		}
	}
}

// Gap returns the longest time within the two that saw no write end OK, or no read,
// whichever was longer.
func Gap(ops []Op, from, to time.Duration) time.Duration {
	longest := time.Duration(0)
	for _, write := range []bool{false, true} {
		last := from
		for _, o := range ops {
			if o.OK && o.Write == write && o.Ended > last && o.Ended <= to {
				longest, last = max(longest, o.Ended-last), o.Ended
			}
		}
		longest = max(longest, to-last)
	}
	return longest
}

// Rate returns how many operations a second ended OK between the two times.
func Rate(ops []Op, from, to time.Duration) float64 {
	n := 0
	for _, o := range ops {
		if o.OK && o.Ended >= from && o.Ended < to {
			n++
		}
	}
	return float64(n) / (to - from).Seconds()
}

// Rates returns how many operations a second ended OK in each interval of that
// length, from the start on. The last one is whole, too.
func Rates(ops []Op, each time.Duration) []float64 {
	var counts []float64
	last := time.Duration(0)
	for _, o := range ops {
		last = max(last, o.Ended)
		if !o.OK {
			continue
		}
		for i := int(o.Ended / each); i >= len(counts); {
			counts = append(counts, 0)
		}
		counts[o.Ended/each]++
	}
	counts = counts[:min(len(counts), int(last/each))]
	for i := range counts {
		counts[i] /= each.Seconds()
	}
	return counts
}
