// SPDX-License-Identifier: Apache-2.0

package protocol

import "testing"

// TestLease: it lasts for as long as every member has answered something sent within
// it, and the member that has been silent for the longest time is asked.
func TestLease(t *testing.T) {
	const lease, now = 20, 100
	for _, c := range []struct {
		what           string
		lease, members uint16
		answered       [4]uint64
		overdue        int
		expired        bool
	}{
		{"all have answered", lease, 0b111, [4]uint64{81, 80, 99}, 1, false},
		{"the first has not", lease, 0b111, [4]uint64{79, 80, 99}, 0, true},
		{"the last has not", lease, 0b111, [4]uint64{81, 80, 79}, 2, true},
		{"two have not", lease, 0b111, [4]uint64{99, 60, 70}, 1, true},
		{"who is no member need not", lease, 0b1010, [4]uint64{0, 85, 0, 81}, 3, false},
		{"there are no members", lease, 0, [4]uint64{}, 0, false},
		{"there is no lease", 0, 0b111, [4]uint64{}, 0, false},
	} {
		k := Coordinator{Lease: uint64(c.lease), Members: c.members, Now: now}
		copy(k.Answered[:], c.answered[:])
		if overdue, expired := k.leaseExpired(); overdue != c.overdue || expired != c.expired {
			t.Fatalf("%s: overdue %d, expired %v; want %d, %v", c.what, overdue, expired, c.overdue, c.expired)
		}
	}
}
