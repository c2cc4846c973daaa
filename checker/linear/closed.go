// SPDX-License-Identifier: Apache-2.0

package linear

import "math"

// A core must be illegal by itself, and prove that the whole is: dropping a
// write that a remaining read observed would make any history illegal and
// explain nothing. A part is closed if no read in it could have been served by
// a write left out of it. Every closed part of a linearizable history is
// linearizable: take a legal order of the whole and leave out the rest; the
// last write before each read is in the part, and stays the last.
//
// A write left out could have served a read of its value unless it was called
// after the read returned; or a witness in the part shows it overwritten
// before the read (see witnesses); or the read happened inside the period of a
// value written only once, whose bounds are in the part, so that nothing could
// have served it. So that the part also reads well by itself, one write of
// each value read is kept, if there is any, and in the last case one that could
// otherwise have served the read.

// closed returns the largest closed part of all within the kept operations, by
// leaving out reads. Both all and the result are in the order of the calls.
func closed(all []op, keep []bool) []op {
	missing := make(sources)
	count := make(map[int32]int)
	part := make([]op, 0, len(all))
	for i := range all {
		o := &all[i]
		if o.write {
			count[o.value]++
		}
		if keep[i] {
			part = append(part, *o)
		} else if o.write {
			missing.add(o)
		}
	}
	count[absent]++
	for {
		before := len(part)
		part = closeOnce(part, missing, count)
		if len(part) == before {
			return part
		}
	}
}

// closeOnce leaves out the reads that a missing write could have served, given
// the witnesses in the part; leaving out one may cost another its witness.
// Count holds how many writes, missing or not, each value has.
func closeOnce(part []op, missing sources, count map[int32]int) []op {
	seen := newWitnesses(part)
	present := map[int32]bool{absent: true}
	for i := range part {
		if part[i].write {
			present[part[i].value] = true
		}
	}
	periods := periodsOf(part, present, count)
	there := sourcesOf(part)
	kept := make([]op, 0, len(part))
	for i := range part {
		o := &part[i]
		switch {
		case o.write:
		case !present[o.value] && count[o.value] > 0:
			continue
		case missing.serve(o, seen.against(o)) && !(inside(periods, o) && there.serve(o, seen.against(o))):
			continue
		}
		kept = append(kept, *o)
	}
	return kept
}

// periodsOf returns the periods, within the part, of the values with a single
// write, which is in the part; of the initial absence, if there is no delete.
func periodsOf(part []op, present map[int32]bool, count map[int32]int) map[int32]*cluster {
	periods := make(map[int32]*cluster)
	for i := range part {
		o := &part[i]
		if count[o.value] != 1 || !present[o.value] {
			continue
		}
		c := periods[o.value]
		if c == nil {
			c = &cluster{f: o.ret, s: o.call, any: true}
			if o.value == absent {
				c.f = math.MinInt64
			}
			periods[o.value] = c
		}
		c.f, c.s = min(c.f, o.ret), max(c.s, o.call)
	}
	return periods
}

// inside reports whether the operation happened within another value's period.
func inside(periods map[int32]*cluster, o *op) bool {
	for v, c := range periods {
		if v != o.value && c.f < o.call && o.ret < c.s {
			return true
		}
	}
	return false
}
