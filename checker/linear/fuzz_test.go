// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"context"
	"slices"
	"testing"
)

// FuzzDecisions compares the audit with the brute force on histories made of any
// bytes, five for each operation.
func FuzzDecisions(f *testing.F) {
	f.Add([]byte{1, 0, 1, 1, 0, 0, 1, 2, 1, 1, 2, 3, 1, 0, 1}) // A write, a read of it, and one that misses it.
	f.Add([]byte{3, 0, 4, 2, 0, 0, 2, 2, 2, 1, 1, 5, 0, 0, 2}) // A write of unknown outcome, seen and overwritten.
	f.Fuzz(func(t *testing.T, data []byte) {
		ops := opsOf(data)
		want := bruteForce(ops)
		got, _ := testJudge().decide(context.Background(), tellingOf(ops))
		if (got == legal) != want || got == undecided {
			t.Fatalf("the audit says %v, the brute force %v, of %s", got, want, describe(ops))
		}
	})
}

// opsOf reads up to eight operations: kind and outcome, call, duration, value and
// process. An operation that would overlap another of its process comes after it.
func opsOf(data []byte) []op {
	const most, processes, values = 8, 3, 4
	var free [processes]int64
	var ops []op
	for ; len(data) >= 5 && len(ops) < most; data = data[5:] {
		p := int(data[4]) % processes
		if free[p] == forever {
			continue
		}
		call := max(free[p], int64(data[1]%16))
		o := op{call: call, ret: call + int64(data[2]%8), process: p, value: int32(data[3] % values),
			write: data[0]&1 != 0, outcome: [...]outcome{succeeded, unknown, failed, succeeded}[data[0]>>1%4]}
		if o.outcome == unknown {
			o.ret = forever
		}
		free[p] = o.ret
		ops = append(ops, o)
	}
	slices.SortStableFunc(ops, func(a, b op) int { return int(a.call - b.call) })
	for i := range ops {
		ops[i].index = int32(i)
	}
	return ops
}
