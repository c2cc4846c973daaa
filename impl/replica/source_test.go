// SPDX-License-Identifier: Apache-2.0

package replica_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"dalio/impl/replica/control"
	"dalio/protocol"
)

// TestRangesOfASource: each record is in the range of its hash and in no other, whether
// ranges are finer than stripes or coarser, and the digests of the ranges tell of
// each change.
func TestRangesOfASource(t *testing.T) {
	n := newNode(t, nil)
	n.must(n.assign(16, 1))
	const records = 300 // More than there are stripes.
	for seq := uint64(1); seq <= records; seq++ {
		n.put(fmt.Sprint("k", seq), "v", seq)
	}
	for _, bits := range []int{2, control.MaxBits} {
		before, err := n.api.Digests(t.Context(), 1, bits)
		n.must(err)
		found := uint64(0)
		for index, of := range before.Ranges {
			if of.Records == 0 {
				continue
			}
			one, err := n.api.Digest(t.Context(), 1, bits, index)
			n.must(err)
			if one != of {
				t.Errorf("range %d of 2^%d is %+v alone, and %+v with the others", index, bits, one, of)
			}
			n.must(n.api.Range(t.Context(), 1, bits, index, func(m *protocol.Message) error {
				if m.KeyHash&(1<<bits-1) != uint64(index) {
					t.Errorf("%s is sent with range %d of 2^%d", m.Key, index, bits)
				}
				found++
				return nil
			}))
		}
		if found != records {
			t.Errorf("2^%d ranges have %d records, want %d", bits, found, records)
		}
	}
	hash := protocol.KeyHash([]byte("k1"))
	index := int(hash & 3)
	before, err := n.api.Digest(t.Context(), 1, 2, index)
	n.must(err)
	n.put("k1", "v", records+1)
	if after, err := n.api.Digest(t.Context(), 1, 2, index); err != nil || after.Sum == before.Sum || after.Records != before.Records {
		t.Errorf("a newer version of a key has range %d be %+v (%v), and it was %+v", index, after, err, before)
	}
}

// TestRangesThatAreNotThere: who asks for ranges that there are not is told so.
func TestRangesThatAreNotThere(t *testing.T) {
	n := newNode(t, nil)
	n.must(n.assign(16, 1))
	for what, c := range map[string]struct {
		bits, index int
		want        string
	}{
		"too fine":         {control.MaxBits + 1, 0, "want 0 to 12"},
		"beyond the last":  {3, 8, "want 0 to 7"},
		"before the first": {3, -1, "want 0 to 7"},
		"no number":        {-1, 0, "want 0 to 12"},
	} {
		_, err := n.api.Digest(t.Context(), 1, c.bits, c.index)
		var e *control.Error
		if !errors.As(err, &e) || e.Code != 400 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want it refused with %q", what, err, c.want)
		}
	}
	if _, err := n.api.Digest(t.Context(), 1, control.MaxBits, 1<<control.MaxBits-1); err != nil {
		t.Errorf("the last of the finest: %v", err)
	}
}
