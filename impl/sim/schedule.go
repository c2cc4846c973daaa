// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// The streams of random numbers. Each part has its own, so that leaving out a fault
// changes as little as possible of the rest.
const (
	planStream = iota
	networkStream
	clientStream
	controlStream
)

func stream(seed, which uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, which)) }

// between returns a time from the range, both ends included.
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)+1))
}

// event is something that happens at a time. Of events of one time, the one that was
// scheduled first happens first.
type event struct {
	at     time.Duration
	number uint64
	what   func()
}

// schedule has the time, and what is to happen.
type schedule struct {
	now     time.Duration
	events  []event
	counted uint64
}

func (s *schedule) after(d time.Duration, what func()) { s.at(s.now+d, what) }

func (s *schedule) at(at time.Duration, what func()) {
	s.counted++
	heap.Push((*events)(&s.events), event{max(at, s.now), s.counted, what})
}

// next has the next thing happen, if there is one.
func (s *schedule) next() bool {
	if len(s.events) == 0 {
		return false
	}
	e := heap.Pop((*events)(&s.events)).(event)
	s.now = e.at
	e.what()
	return true
}

type events []event

func (e events) Len() int { return len(e) }

func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].number < e[j].number
}

func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

func (e *events) Push(x any) { *e = append(*e, x.(event)) }

func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}
