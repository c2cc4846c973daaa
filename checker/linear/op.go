// SPDX-License-Identifier: Apache-2.0

package linear

import "math"

// forever is the return time of an operation whose outcome is unknown.
const forever = math.MaxInt64

// absent is the value of a key that was never written or was deleted: the
// number zero in every key's dictionary of values.
const absent = 0

type outcome uint8

const (
	succeeded outcome = iota
	failed            // certainly did not happen
	unknown           // may take effect at any later time
)

// op is one operation on one key. A delete is a write of absent.
type op struct {
	call, ret int64 // closed interval: equal times are concurrent
	process   int
	line      int   // of the invoke
	index     int32 // among the key's operations
	value     int32 // written or read, as a number in the key's dictionary
	write     bool
	outcome   outcome
}

// tells reports whether the operation can constrain a verdict.
func (o *op) tells() bool {
	return o.outcome == succeeded || o.write && o.outcome == unknown
}

// before reports whether a certainly took effect before b did.
func before(a, b *op) bool { return a.ret < b.call }

// register is the history of one key, in the order of the calls.
type register struct {
	key    string
	values []string // by number; the first stands for absent
	ops    []op
}

// telling returns the operations a verdict depends on.
func (r *register) telling() []op {
	ops := make([]op, 0, len(r.ops))
	for i := range r.ops {
		if r.ops[i].tells() {
			ops = append(ops, r.ops[i])
		}
	}
	return ops
}

type verdict uint8

const (
	undecided verdict = iota
	legal
	illegal
)
