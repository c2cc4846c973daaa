// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"slices"
	"sort"
)

// witnesses tells what certainly happened before a given time. An operation
// that wrote or read a value bears witness against any other value: a write
// that returned before the witness was called is certainly overwritten by the
// time the witness returned.
type witnesses struct {
	ops  []*op // completed, by return time
	best []top // after as many of them
}

// top holds the operation called last, and the last called of another value.
type top struct{ first, second *op }

func newWitnesses(ops []op) *witnesses {
	w := &witnesses{best: make([]top, 1, len(ops)+1)}
	for i := range ops {
		if ops[i].outcome == succeeded {
			w.ops = append(w.ops, &ops[i])
		}
	}
	slices.SortStableFunc(w.ops, func(a, b *op) int {
		switch {
		case a.ret < b.ret:
			return -1
		case a.ret > b.ret:
			return 1
		}
		return 0
	})
	t := top{}
	for _, o := range w.ops {
		switch {
		case t.first == nil || o.value == t.first.value:
			if t.first == nil || o.call > t.first.call {
				t.first = o
			}
		case o.call > t.first.call:
			t = top{o, t.first}
		case t.second == nil || o.call > t.second.call:
			t.second = o
		}
		w.best = append(w.best, t)
	}
	return w
}

// against returns the witness called last of all that returned before the read
// was called and saw or wrote another value. It excludes every write that any
// witness excludes.
func (w *witnesses) against(read *op) *op {
	n := sort.Search(len(w.ops), func(i int) bool { return w.ops[i].ret >= read.call })
	if t := w.best[n]; t.first == nil || t.first.value != read.value {
		return t.first
	}
	return w.best[n].second
}

// writes holds one value's writes in the order of the calls.
type writes struct {
	ops    []*op
	latest []*op // the one that returns last among ops[:i+1]
}

// sources holds the writes of each value.
type sources map[int32]*writes

func (s sources) add(o *op) {
	w := s[o.value]
	if w == nil {
		w = &writes{}
		s[o.value] = w
	}
	w.ops = append(w.ops, o)
	latest := o
	if n := len(w.latest); n > 0 && w.latest[n-1].ret >= o.ret {
		latest = w.latest[n-1]
	}
	w.latest = append(w.latest, latest)
}

// serve reports whether one of the writes could have served the read: it was
// called before the read returned, and the witness does not exclude it.
func (s sources) serve(read, witness *op) bool {
	w := s.latest(read)
	return w != nil && (witness == nil || w.ret >= witness.call)
}

// latest returns, of the writes of the read's value that were called before it
// returned, the one that returned last, or nil.
func (s sources) latest(read *op) *op {
	w := s[read.value]
	if w == nil {
		return nil
	}
	n := sort.Search(len(w.ops), func(i int) bool { return w.ops[i].call > read.ret })
	if n == 0 {
		return nil
	}
	return w.latest[n-1]
}

// sourcesOf returns the writes among operations in the order of the calls.
func sourcesOf(ops []op) sources {
	s := make(sources)
	for i := range ops {
		if ops[i].write {
			s.add(&ops[i])
		}
	}
	return s
}

// refute looks for a read that nothing could have served: each write of its
// value was called too late or was certainly overwritten. It returns the
// operations that prove it, or nil.
func refute(ops []op) []op {
	seen := newWitnesses(ops)
	all := sourcesOf(ops)
	for i := range ops {
		read := &ops[i]
		if read.write {
			continue
		}
		witness := seen.against(read)
		if all.serve(read, witness) || read.value == absent && witness == nil {
			continue
		}
		proof := []op{*read}
		for _, o := range []*op{witness, all.example(read)} {
			if o != nil {
				proof = append(proof, *o)
			}
		}
		if witness != nil && !witness.write {
			proof = append(proof, all.all(witness.value)...)
		}
		slices.SortFunc(proof, func(a, b op) int { return int(a.index - b.index) })
		return slices.CompactFunc(proof, func(a, b op) bool { return a.index == b.index })
	}
	return nil
}

// example returns the write of the read's value that comes closest to serving
// it, if any.
func (s sources) example(read *op) *op {
	w := s[read.value]
	if w == nil || read.value == absent {
		return nil
	}
	n := sort.Search(len(w.ops), func(i int) bool { return w.ops[i].call > read.ret })
	return w.ops[max(0, n-1)]
}

// all returns every write of a value.
func (s sources) all(value int32) []op {
	var ops []op
	if w := s[value]; w != nil {
		for _, o := range w.ops {
			ops = append(ops, *o)
		}
	}
	return ops
}
