// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"context"
	"slices"
	"sort"
	"time"
)

// tryTime bounds one attempt to make a core smaller.
const tryTime = 2 * time.Second

// shrinker removes operations from an illegal part of a key's operations for as
// long as it stays illegal and closed.
type shrinker struct {
	*judge
	ctx    context.Context
	all    []op
	part   []op
	gaveUp bool // some attempt was undecided, so the part may not be minimal
}

// shrink returns a closed part of an illegal history that is still illegal,
// starting from a proof if there is one. The second result is true if the part
// is minimal: removing any operation, with the reads it could have served,
// makes it legal.
func (j *judge) shrink(ctx context.Context, all, proof []op) ([]op, bool) {
	s := shrinker{judge: j, ctx: ctx, all: all, part: all}
	if proof == nil || !s.try(proof) {
		s.trim()
	}
	for size := len(s.part) / 2; size > 1; size /= 2 {
		s.sweep(size)
	}
	for s.sweep(1) {
		// Each removal may make possible another one before it.
	}
	return s.part, !s.gaveUp
}

// try replaces the part by the largest closed one among the given operations,
// if that is illegal.
func (s *shrinker) try(ops []op) bool {
	smaller := s.close(ops)
	if len(smaller) == len(s.part) {
		return false
	}
	ctx, cancel := context.WithTimeout(s.ctx, tryTime)
	defer cancel()
	v, proof := s.decide(ctx, smaller)
	if v == undecided {
		s.gaveUp = true
	}
	if v != illegal {
		return false
	}
	s.part = smaller
	// Within the part the proof stands, but it may lack a write that
	// overwrote one left out earlier.
	if proof != nil && len(proof) < len(smaller) && len(s.close(proof)) == len(proof) {
		s.part = proof
	}
	return true
}

// close returns the largest closed part of all within the given operations.
func (s *shrinker) close(ops []op) []op {
	chosen := make(map[int32]bool, len(ops))
	for i := range ops {
		chosen[ops[i].index] = true
	}
	keep := make([]bool, len(s.all))
	for i := range s.all {
		keep[i] = chosen[s.all[i].index]
	}
	return closed(s.all, keep)
}

// trim cuts off what was called after the first contradiction was complete,
// then what was called before it began. Closed parts of legal histories are
// legal, so both cuts can be found by bisection.
func (s *shrinker) trim() {
	whole := s.part
	sort.Search(len(whole), func(n int) bool { return s.cut(whole[:n]) })
	whole = s.part
	sort.Search(len(whole), func(n int) bool { return !s.cut(whole[n:]) })
}

// cut reports whether the operations are illegal, and makes them the part if
// that is smaller than the present one.
func (s *shrinker) cut(ops []op) bool {
	previous := s.part
	s.part = s.all
	ok := s.try(ops) || len(ops) == len(s.all)
	if len(s.part) >= len(previous) {
		s.part = previous
	}
	return ok
}

// sweep tries to remove each run of size operations, and reports whether it
// removed any.
func (s *shrinker) sweep(size int) bool {
	removed := false
	for start := 0; start < len(s.part); {
		if s.ctx.Err() != nil {
			s.gaveUp = true
			return false
		}
		rest := slices.Concat(s.part[:start], s.part[min(start+size, len(s.part)):])
		if s.try(rest) {
			removed = true
		} else {
			start += size
		}
	}
	return removed
}
