// SPDX-License-Identifier: Apache-2.0

// Package graph puts the events of several tellers into one order that keeps what is
// known of which came first, and is as near to a clock as that allows.
package graph

import (
	"cmp"
	"container/heap"
)

// Graph says which of some events, numbered from 0 on, come before which.
type Graph struct {
	after  [][]int32 // those that come after each
	before []int32   // how many must come before each
}

// New returns a graph of n events of which nothing is known.
func New(n int) *Graph { return &Graph{after: make([][]int32, n), before: make([]int32, n)} }

// Add says that one event comes before another. That it comes before itself is not
// said.
func (g *Graph) Add(first, then int32) {
	if first == then {
		return
	}
	g.after[first] = append(g.after[first], then)
	g.before[then]++
}

// Sort returns the events in order, by time where that is left open, and is to be called
// once. If what is known contradicts itself, it returns false and an event that would
// have to come before itself.
func (g *Graph) Sort(time func(i int32) int64) (sorted []int32, stuck int32, ok bool) {
	ready := &queue{time: time}
	for i := range g.before {
		if g.before[i] == 0 {
			ready.of = append(ready.of, int32(i))
		}
	}
	heap.Init(ready)
	sorted = make([]int32, 0, len(g.before))
	for ready.Len() > 0 {
		i := heap.Pop(ready).(int32)
		sorted = append(sorted, i)
		for _, then := range g.after[i] {
			if g.before[then]--; g.before[then] == 0 {
				heap.Push(ready, then)
			}
		}
	}
	if len(sorted) == len(g.before) {
		return sorted, 0, true
	}
	for i := range g.before {
		if g.before[i] > 0 {
			return nil, int32(i), false
		}
	}
	return nil, 0, false
}

// queue has the events that may come next, the earliest first.
type queue struct {
	time func(int32) int64
	of   []int32
}

func (q *queue) Len() int { return len(q.of) }
func (q *queue) Less(i, j int) bool {
	a, b := q.of[i], q.of[j]
	return cmp.Or(cmp.Compare(q.time(a), q.time(b)), cmp.Compare(a, b)) < 0
}
func (q *queue) Swap(i, j int) { q.of[i], q.of[j] = q.of[j], q.of[i] }
func (q *queue) Push(x any)    { q.of = append(q.of, x.(int32)) }
func (q *queue) Pop() any {
	last := q.of[len(q.of)-1]
	q.of = q.of[:len(q.of)-1]
	return last
}
