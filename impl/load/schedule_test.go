// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"dalio/traces"
)

// hiccup answers at once, but for one operation.
type hiccup struct {
	done  *atomic.Int64
	after int64
	lasts time.Duration
}

func (h hiccup) Do(context.Context, string, string, string) Answer {
	if h.done.Add(1) == h.after {
		time.Sleep(h.lasts)
	}
	return Answer{Outcome: traces.OK}
}

// TestOpenLoopCountsFromWhenOperationsWereDue: while one operation takes 100 ms, others
// are due and begin late, which a closed loop would see once.
func TestOpenLoopCountsFromWhenOperationsWereDue(t *testing.T) {
	const rate, stall = 2000, 100 * time.Millisecond
	w := Workload{Keys: 10, Writes: 0.5, Seed: 3}
	slow := func(rate float64) (count, all int64) {
		o := Options{Clients: []Client{hiccup{new(atomic.Int64), 50, stall}}, Longest: 500 * time.Millisecond, Rate: rate, Deadline: time.Second}
		if rate == 0 {
			o.Longest, o.Operations = time.Minute, 1000
		}
		r, err := Run(t.Context(), w, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range r.Latency {
			all += h.TotalCount()
			for _, b := range h.Distribution() {
				if b.From >= (stall / 2).Nanoseconds() {
					count += b.Count
				}
			}
		}
		if late := time.Duration(r.Late.Max()); rate > 0 && late < stall/2 || r.Late.TotalCount() != all {
			t.Errorf("of %d operations %d have a lateness, which is %v at most", all, r.Late.TotalCount(), late)
		}
		return count, all
	}
	// Those due in the first half of the stall wait for half of it or more. How many
	// are due is a Poisson number.
	open, all := slow(rate)
	if want := rate * 0.5; math.Abs(float64(all)-want) > 6*math.Sqrt(want) {
		t.Errorf("%d operations, want about %.0f", all, want)
	}
	if want := rate * stall.Seconds() / 2; float64(open) < want-6*math.Sqrt(want) {
		t.Errorf("%d operations of an open loop were slow, want %.0f or more", open, want)
	}
	if closed, _ := slow(0); closed < 1 || closed > 10 {
		t.Errorf("%d operations of a closed loop were slow, want one", closed)
	}
}

func TestRatesThatCantBeRun(t *testing.T) {
	for _, o := range []Options{{Rate: -1, Longest: time.Second}, {Rate: 100}} {
		o.Clients, o.Deadline = []Client{hiccup{done: new(atomic.Int64)}}, time.Second
		if _, err := Run(t.Context(), Workload{Keys: 1}, o); err == nil {
			t.Errorf("a rate of %v for %v was run", o.Rate, o.Longest)
		}
	}
}
