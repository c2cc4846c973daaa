// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"math/bits"
	"unsafe"

	"dalio/bpf/cache"
)

// index finds the records of a stripe by the hashes of their keys. Each record is in
// the slot that its hash names, its home, or in one after it, with no empty slot between.
type index struct {
	// slots are a power of two, and the last one is followed by the first.
	slots []slot
	count int
}

// slot is empty if it has no record.
type slot struct {
	hash   uint64
	record *memoryRecord
}

const (
	minSlots = 8
	// spread has the home of a hash depend on all its bits: the hashes of a stripe have
	// the lowest ones in common.
	spread = 0x9e3779b97f4a7c15
)

func (x *index) home(hash uint64) int {
	return int(hash * spread >> (64 - bits.Len(uint(len(x.slots)-1))))
}

func (x *index) next(i int) int { return (i + 1) & (len(x.slots) - 1) }

// find returns the record of a key, nil if there is none.
func (x *index) find(hash uint64, key []byte) *memoryRecord {
	if x.count == 0 {
		return nil
	}
	for i := x.home(hash); ; i = x.next(i) {
		s := &x.slots[i]
		if s.record == nil || s.hash == hash && s.record.key() == string(key) {
			return s.record
		}
	}
}

// put puts a record in the place of the one that has its key, if there is one.
func (x *index) put(hash uint64, r *memoryRecord) {
	if 3*(x.count+1) > 2*len(x.slots) {
		x.grow()
	}
	i := x.home(hash)
	for ; x.slots[i].record != nil; i = x.next(i) {
		if s := &x.slots[i]; s.hash == hash && s.record.key() == r.key() {
			s.record = r
			return
		}
	}
	x.slots[i] = slot{hash, r}
	x.count++
}

func (x *index) grow() {
	old := x.slots
	x.slots, x.count = make([]slot, max(minSlots, 2*len(old))), 0
	for _, s := range old {
		if s.record != nil {
			x.put(s.hash, s.record)
		}
	}
}

// remove takes out a record that is there. Those after it move up where the gap would
// be between them and their homes.
func (x *index) remove(hash uint64, r *memoryRecord) {
	gap := x.home(hash)
	for x.slots[gap].record != r {
		gap = x.next(gap)
	}
	for i := x.next(gap); x.slots[i].record != nil; i = x.next(i) {
		if home := x.home(x.slots[i].hash); x.distance(home, gap) < x.distance(home, i) {
			x.slots[gap], gap = x.slots[i], i
		}
	}
	x.slots[gap] = slot{}
	x.count--
}

// distance is how many slots after one another one is.
func (x *index) distance(from, to int) int { return (to - from) & (len(x.slots) - 1) }

// all visits the records, in no order, until the visit returns false.
func (x *index) all(visit func(*memoryRecord) bool) {
	for i := range x.slots {
		if r := x.slots[i].record; r != nil && !visit(r) {
			return
		}
	}
}

// prefetch has what find will look at come into the processor's caches: the home
// first, and then the record.
func (x *index) prefetch(hash uint64, look int) {
	if x.count == 0 {
		return
	}
	i := x.home(hash)
	if look == 0 {
		cache.Prefetch(unsafe.Pointer(&x.slots[i]), slotSpan)
		return
	}
	for ; x.slots[i].record != nil; i = x.next(i) {
		if x.slots[i].hash == hash {
			cache.Prefetch(unsafe.Pointer(x.slots[i].record), recordSpan)
			return
		}
	}
}

const (
	// slotSpan is how much of the slots is fetched ahead: most records are no further
	// from their homes.
	slotSpan = 4 * unsafe.Sizeof(slot{})
	// recordSpan is how much of a record is fetched ahead, with a key and a value that
	// are short: of longer ones the processor fetches the rest by itself.
	recordSpan = 2 * 64
)
