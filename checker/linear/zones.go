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

// cluster is a value's write and its reads.
type cluster struct {
	f, s         int64 // earliest return, latest call
	write        int   // index of the write, or none
	first, last  int   // operations that return first and are called last
	value        int32
	written, any bool
}

const none = -1

// forward reports whether the value was certainly current for a period.
func (c *cluster) forward() bool { return c.f < c.s }

// gather builds the clusters by value. It returns false when the test does not
// apply, because a value is written twice or the key is deleted.
func gather(ops []op, values int) ([]cluster, bool) {
	clusters := make([]cluster, values)
	for v := range clusters {
		clusters[v] = cluster{f: forever, s: math.MinInt64, write: none, first: none, last: none, value: int32(v)}
	}
	clusters[absent].f = math.MinInt64
	clusters[absent].written = true
	for i := range ops {
		o := &ops[i]
		c := &clusters[o.value]
		if o.write {
			if c.written {
				return nil, false
			}
			c.written, c.write = true, i
		}
		if o.ret < c.f {
			c.f, c.first = o.ret, i
		}
		if o.call > c.s {
			c.s, c.last = o.call, i
		}
		c.any = true
	}
	return clusters, true
}

// decideZones judges operations whose written values are unique. Of an illegal
// history it returns the operations that prove it. The last result is false
// when the test does not apply.
func decideZones(ops []op, values int) (verdict, []op, bool) {
	clusters, ok := gather(ops, values)
	if !ok {
		return undecided, nil, false
	}
	if proof := impossibleRead(ops, clusters); proof != nil {
		return illegal, pick(ops, proof), true
	}
	var periods []*cluster
	for i := range clusters {
		if c := &clusters[i]; c.any && c.forward() {
			periods = append(periods, c)
		}
	}
	sort.Slice(periods, func(i, j int) bool { return periods[i].f < periods[j].f })
	for i := 1; i < len(periods); i++ {
		if periods[i].f < periods[i-1].s {
			return illegal, pick(ops, clash(periods[i-1], periods[i])), true
		}
	}
	for i := range clusters {
		c := &clusters[i]
		if !c.any || c.forward() {
			continue
		}
		// Periods are disjoint here, so only the last one that starts before
		// c's instant can hold it.
		n := sort.Search(len(periods), func(n int) bool { return periods[n].f >= c.s })
		if n > 0 && c.f < periods[n-1].s {
			return illegal, pick(ops, clash(periods[n-1], c)), true
		}
	}
	return legal, nil, true
}

// impossibleRead finds a read of a value that nobody had asked to write yet.
func impossibleRead(ops []op, clusters []cluster) []int {
	for i := range ops {
		c := &clusters[ops[i].value]
		switch {
		case ops[i].write || ops[i].value == absent:
		case c.write == none:
			return []int{i}
		case before(&ops[i], &ops[c.write]):
			return []int{c.write, i}
		}
	}
	return nil
}

// clash returns the operations that make each of two clusters come first.
func clash(a, b *cluster) []int {
	var indices []int
	for _, i := range []int{a.write, a.first, a.last, b.write, b.first, b.last} {
		if i != none {
			indices = append(indices, i)
		}
	}
	slices.Sort(indices)
	return slices.Compact(indices)
}

func pick(ops []op, indices []int) []op {
	picked := make([]op, len(indices))
	for n, i := range indices {
		picked[n] = ops[i]
	}
	return picked
}
