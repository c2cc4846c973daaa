// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"
	"testing"

	"dalio/impl/replica/control"
	"dalio/protocol"
)

// TestRangesAreMadeOfStripes: who looks for a range in its stripes finds all of it.
func TestRangesAreMadeOfStripes(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, control.MaxBits} {
		for i := range 20_000 {
			key := fmt.Sprint("key", i)
			index := rangeOf(key, n)
			if index < 0 || index >= 1<<n || !ofRange(n, index)(StripeOf([]byte(key))) {
				t.Fatalf("%s is in range %d of 2^%d and in stripe %d, which is not of that range", key, index, n, StripeOf([]byte(key)))
			}
		}
		found := 0
		for index := range 1 << n {
			for stripe := range Stripes {
				if ofRange(n, index)(stripe) {
					found++
				}
			}
		}
		if want := max(1<<n, Stripes); found != want {
			t.Errorf("2^%d ranges have %d stripes, want %d", n, found, want)
		}
	}
}

// TestDigestsSumUpWholeRecords: records that differ in anything have other sums.
func TestDigestsSumUpWholeRecords(t *testing.T) {
	r := protocol.Record{Version: protocol.Version{Epoch: 1, Seq: 2}, Writer: 3, Op: protocol.OpPut, Value: []byte("v")}
	seen := map[uint64]string{sum("k", r): "the record"}
	for what, change := range map[string]func(*protocol.Record){
		"the epoch":           func(r *protocol.Record) { r.Version.Epoch++ },
		"the sequence number": func(r *protocol.Record) { r.Version.Seq++ },
		"the writer":          func(r *protocol.Record) { r.Writer++ },
		"the operation":       func(r *protocol.Record) { r.Op = protocol.OpDelete },
		"the value":           func(r *protocol.Record) { r.Value = []byte("w") },
	} {
		other := r
		change(&other)
		if same, ok := seen[sum("k", other)]; ok {
			t.Errorf("with another of %s the sum is that of %s", what, same)
		}
		seen[sum("k", other)] = what
	}
	if same, ok := seen[sum("l", r)]; ok {
		t.Errorf("under another key the sum is that of %s", same)
	}
}
