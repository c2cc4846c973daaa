// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"math"
	"slices"
	"sort"
)

// The near-linear decision for registers whose writes all write different
// values (Gibbons and Korach, "Testing shared memories", 1997).
//
// Then every read names its write, and a write with its reads is a cluster
// whose operations must be adjacent in any legal order. Let f be the earliest
// return in a cluster and s its latest call. One cluster must come before
// another iff some operation of it returned before some operation of the other
// was called: f(A) < s(B). A legal order exists iff no read returned before
// its own write was called, and no two clusters must each come before the
// other. (A longer cycle always contains such a pair: if A1 < A2 < … < Ak < A1
// is a shortest cycle of at least three, then f(Ai) >= s(Ai+2) > f(Ai+1) all
// the way round, so f(A1) > f(A1).)
//
// A cluster with f < s is forward: its value was certainly current from f to
// s. Two forward clusters clash iff these periods overlap. A cluster with
// s <= f is backward: all its operations could happen at one instant; it
// clashes with a forward one iff that one's period holds s and f inside, and
// never with a backward one. The initial absence is a cluster whose write
// returned before time began. A write of unknown outcome returns at the end of
// time: its period is decided by its reads, and without reads it clashes with
// nothing.
//
// Where some values are written more than once, or the key is deleted, the
// clusters of the other values still must not clash, and the rest must not
// happen inside one of their periods. That refutes many histories, and proves
// none.

// cluster is a value's only write and its reads.
type cluster struct {
	f, s        int64 // earliest return, latest call
	write       int   // index of the write, or none
	first, last int   // operations that return first and are called last
	any         bool
}

const none = -1

// forward reports whether the value was certainly current for a period.
func (c *cluster) forward() bool { return c.any && c.f < c.s }

// countWrites returns how often each value was written, the initial absence
// included.
func countWrites(ops []op, values int) []int {
	writes := make([]int, values)
	writes[absent] = 1
	for i := range ops {
		if ops[i].write {
			writes[ops[i].value]++
		}
	}
	return writes
}

// gather builds the clusters of the values that are written at most once, and
// returns the indices of all operations on other values.
func gather(ops []op, writes []int) (clusters []cluster, rest []int) {
	clusters = make([]cluster, len(writes))
	for v := range clusters {
		clusters[v] = cluster{f: forever, s: math.MinInt64, write: none, first: none, last: none}
	}
	clusters[absent].f = math.MinInt64
	for i := range ops {
		if ops[i].write {
			clusters[ops[i].value].write = i
		}
	}
	for i := range ops {
		o := &ops[i]
		if writes[o.value] > 1 {
			rest = append(rest, i)
			continue
		}
		c := &clusters[o.value]
		c.any = true
		if o.ret < c.f {
			c.f, c.first = o.ret, i
		}
		if o.call > c.s {
			c.s, c.last = o.call, i
		}
	}
	return clusters, rest
}

// decideZones judges by the clusters. Of an illegal history it returns the
// operations that prove it; a legal one is decided only if there is no rest.
func decideZones(ops []op, values int) (verdict, []op) {
	clusters, rest := gather(ops, countWrites(ops, values))
	if proof := impossibleRead(ops, clusters); proof != nil {
		return illegal, pick(ops, proof)
	}
	if c := findConflict(ops, clusters, rest); c != nil {
		proof := pick(ops, c.indices())
		if c.lone != none {
			proof = withSource(proof, ops, &ops[c.lone])
		}
		return illegal, proof
	}
	if len(rest) > 0 {
		return undecided, nil
	}
	return legal, nil
}

// conflict is a period, and what clashes with it: another cluster, or a lone
// operation on a value that is written more than once.
type conflict struct {
	period, other *cluster
	lone          int
}

// findConflict returns two clusters that clash, if any.
func findConflict(ops []op, clusters []cluster, rest []int) *conflict {
	periods := make([]*cluster, 0, len(clusters))
	for i := range clusters {
		if clusters[i].forward() {
			periods = append(periods, &clusters[i])
		}
	}
	sort.Slice(periods, func(i, j int) bool { return periods[i].f < periods[j].f })
	for i := 1; i < len(periods); i++ {
		if periods[i].f < periods[i-1].s {
			return &conflict{periods[i-1], periods[i], none}
		}
	}
	for i := range clusters {
		if c := &clusters[i]; c.any && !c.forward() {
			if p := around(periods, c.s, c.f); p != nil {
				return &conflict{p, c, none}
			}
		}
	}
	for _, i := range rest {
		if p := around(periods, ops[i].call, ops[i].ret); p != nil {
			return &conflict{p, nil, i}
		}
	}
	return nil
}

// indices returns the operations that bound the periods, and the writes.
func (c *conflict) indices() []int {
	all := []int{c.period.write, c.period.first, c.period.last, c.lone}
	if c.other != nil {
		all = append(all, c.other.write, c.other.first, c.other.last)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if all[0] == none {
		all = all[1:]
	}
	return all
}

// around returns the period that holds both instants inside, if any. Periods
// are disjoint and sorted, so only the last that starts before from can.
func around(periods []*cluster, from, to int64) *cluster {
	n := sort.Search(len(periods), func(n int) bool { return periods[n].f >= from })
	if n > 0 && to < periods[n-1].s {
		return periods[n-1]
	}
	return nil
}

// impossibleRead finds a read of a value that nobody had asked to write yet.
func impossibleRead(ops []op, clusters []cluster) []int {
	for i := range ops {
		c := &clusters[ops[i].value]
		switch {
		case ops[i].write || ops[i].value == absent:
		case c.write == none:
			return []int{i}
		case c.any && before(&ops[i], &ops[c.write]):
			return []int{i, c.write}
		}
	}
	return nil
}

// withSource adds to a proof the write that would have served the read if not
// for the rest of the proof, or that came closest, so that a reader need not
// wonder.
func withSource(proof, ops []op, read *op) []op {
	all := sourcesOf(ops)
	w := all.latest(read)
	if w == nil {
		w = all.example(read)
	}
	if read.write || w == nil {
		return proof
	}
	proof = append(proof, *w)
	slices.SortFunc(proof, func(a, b op) int { return int(a.index - b.index) })
	return proof
}

func pick(ops []op, indices []int) []op {
	picked := make([]op, len(indices))
	for n, i := range indices {
		picked[n] = ops[i]
	}
	return picked
}
