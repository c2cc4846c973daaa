// SPDX-License-Identifier: Apache-2.0

package replica_test

import (
	"testing"
	"time"

	"dalio/impl/internal/failpoint"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// TestJoiningForgets: of what a replica held under an earlier id nothing proves
// anything, neither records nor session records (hazards 25 and 34).
func TestJoiningForgets(t *testing.T) {
	n := newNode(t, nil)
	n.must(n.assign(16, 1))
	n.put("k", "v", 1)
	n.must(n.assign(32, 1))
	if m := n.get("k"); m.Op != protocol.OpNone {
		t.Errorf("it holds %+v", m)
	}
	if s := n.status(); s.Records != 0 || s.Sessions != 0 || s.Recent != 0 {
		t.Errorf("it has %d records, %d of them recent, and %d session records", s.Records, s.Recent, s.Sessions)
	}
}

// TestLateRequests: what a control plane asked for a moment ago arrives when the
// epoch, or the membership, is another one.
func TestLateRequests(t *testing.T) {
	n, source := newNode(t, nil), newNode(t, nil)
	n.must(n.assign(16, 1))
	n.must(n.fence(2))
	n.must(n.fence(3))
	late := write("k", "v", 1)
	late.Version.Epoch = 1
	if err := n.api.Install(t.Context(), 2, messages(late)); !refused(err, "not fenced for it") {
		t.Errorf("an installation for an epoch before the fence: %v", err)
	}
	if err := n.api.Open(t.Context(), 2); !refused(err, "can't be opened") {
		t.Errorf("an opening of an epoch before the fence: %v", err)
	}
	n.must(n.api.Open(t.Context(), 3))
	if s := n.status(); s.Records != 0 || s.Epoch != 3 {
		t.Errorf("after late requests: %+v", s)
	}
	n.epoch = 3

	// Session records come in any order, too.
	n.put("k", "v", 9) // Request 9 of the session of slot 1.
	n.put("k", "v", 1)
	n.must(n.fence(4))
	n.must(n.api.Recent(t.Context(), func(m *protocol.Message) error {
		if m.Type == protocol.WriteAck && m.Request != 9 {
			t.Errorf("the session's record is of request %d, want 9", m.Request)
		}
		return nil
	}))

	// A catch-up ends with the epoch in which it was asked for.
	source.must(source.assign(17, 4))
	n.must(n.api.Open(t.Context(), 4))
	n.epoch = 4
	if p := n.catchUp(source, 0); p.State != control.Done {
		t.Fatalf("caught up: %+v", p)
	}
	n.must(n.fence(5))
	if p := n.status().CatchUp; p.State != control.None {
		t.Errorf("in the next epoch the catch-up is %+v", p)
	}
}

// TestFenceWaitsForAnswers: what a replica has handled before a fence is answered
// before the fence is, or never: whoever fences may count on having seen the last
// answer of the earlier epoch (hazards 18 and 29).
func TestFenceWaitsForAnswers(t *testing.T) {
	t.Setenv(failpoint.Environment, "1")
	n := newNode(t, nil)
	n.must(n.assign(17, 3))
	before := n.status().Counters.Batches
	if err := failpoint.Arm("replica.after-apply", failpoint.Delay); err != nil {
		t.Fatal(err)
	}
	n.send(write("k", "v", 1))
	for deadline := time.Now().Add(patience); n.status().Counters.Batches == before; {
		if time.Now().After(deadline) {
			t.Fatal("the write is not handled")
		}
	}
	n.must(n.fence(4))
	// What was sent before has arrived: both are on this machine.
	_ = n.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := n.conn.Read(make([]byte, 2048)); err != nil {
		t.Errorf("fenced before what was handled had been answered: %v", err)
	}
}

// TestTombstonesAboveTheMarkStay: they are what refuses a late write (hazard 10).
func TestTombstonesAboveTheMarkStay(t *testing.T) {
	n := newNode(t, nil)
	n.must(n.assign(16, 1))
	gone := write("k", "", 5)
	gone.Op, gone.Epoch, gone.Replica, gone.Version.Epoch = protocol.OpDelete, 1, 16, 1
	n.send(gone)
	n.receive()
	mark := protocol.Version{Epoch: 1, Seq: 3}
	n.must(n.api.Settle(t.Context(), control.Settlement{Epoch: 1, Floor: mark, Collect: mark}))
	n.put("k", "late", 4)
	if m := n.get("k"); m.Op != protocol.OpDelete || m.Version.Seq != 5 {
		t.Errorf("a late write has been applied over a tombstone: %+v", m)
	}
}

// TestWhatIsNotSettledIsRecent: a recovery is told of all that may differ between
// the members, and of nothing else (hazard 16).
func TestWhatIsNotSettledIsRecent(t *testing.T) {
	n := newNode(t, nil)
	n.must(n.assign(16, 1))
	for seq, key := range []string{"a", "b", "c"} {
		n.put(key, "v", uint64(seq+1))
	}
	n.must(n.api.Settle(t.Context(), control.Settlement{Epoch: 1, Floor: protocol.Version{Epoch: 1, Seq: 2}}))
	n.must(n.fence(2))
	var told []string
	n.must(n.api.Recent(t.Context(), func(m *protocol.Message) error {
		if m.Type == protocol.Write {
			told = append(told, string(m.Key))
		}
		return nil
	}))
	if len(told) != 1 || told[0] != "c" {
		t.Errorf("recent are %q, want c alone", told)
	}
}
