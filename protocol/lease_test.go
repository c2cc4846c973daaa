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

// TestHeld: a look at the clock counts for every read that was sent before it, also when
// the lease has run out meanwhile, and for no other.
func TestHeld(t *testing.T) {
	const lease, overdueAt, at = 20, 50, 45
	for _, c := range []struct {
		what            string
		now, held, sent uint64
		released        bool
		then            uint64
	}{
		{"the first look", at, 0, at, true, at},
		{"a read sent before a look", at, 40, 39, true, 40},
		{"the same when a member is overdue", overdueAt, 40, 39, true, 40},
		{"a read sent at the moment of a look", at, 40, 40, true, at},
		{"the same when a member is overdue", overdueAt, 40, 40, false, 40},
		{"a read sent after a look", at, 40, 41, true, at},
		{"the same when a member is overdue", overdueAt, 40, 41, false, 40},
	} {
		k := Coordinator{Epoch: 1, Lease: lease, Members: 0b11, Serving: 0b11, Now: c.now, Held: c.held}
		for i := range 2 {
			k.Known[i] = Member{ReplicaID(1<<4 | i), Address{IP: [4]byte{10, 0, 0, byte(i + 1)}, Port: Port}}
		}
		k.Answered = [MaxMembers]uint64{at, overdueAt - lease - 1}
		reply := Message{Type: ReadReply, Epoch: 1, Replica: k.Known[0].ID, Request: 1, Key: []byte("k"), Client: Address{IP: [4]byte{10, 0, 0, 9}, Port: 9}, Sent: c.sent}
		out := k.HandleReadReply(reply, k.Known[0].Address)
		if out.Message == nil || (out.Message.Type == ReadResponse) != c.released || k.Held != c.then {
			t.Errorf("%s: %+v, held at %d; want released %v, %d", c.what, out.Message, k.Held, c.released, c.then)
		}
		if !c.released && (out.Message.Replica != k.Known[1].ID || out.Message.Hops != 1) {
			t.Errorf("%s: replica %d is asked, hops %d; want the one that is overdue, 1", c.what, out.Message.Replica, out.Message.Hops)
		}
	}
	k := Coordinator{Epoch: 1, Members: 1, Now: at}
	if _, expired := k.leaseHeldSince(0); expired || k.Held != 0 {
		t.Errorf("without a lease: expired %v, held at %d", expired, k.Held)
	}
}
