// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"testing"

	"dalio/protocol"
)

// The tests in this file play the hazards of the specification, by their numbers
// there, before the bytecode and the reference model, and expect the cure. The
// table in spec/README.md says which test is for which configuration of TLC.

// Hazard 1: acknowledgements of one write count for another.
func TestAcknowledgementsOfTwoWritesAreNotMixed(t *testing.T) {
	s := newScene(t, 3)
	a, b := s.open(0), s.open(1)
	first, second := s.put(a, 1, "first"), s.put(b, 1, "second")
	s.dropped(s.deliver(first, 0), protocol.Acknowledged)
	s.dropped(s.deliver(second, 0), protocol.Acknowledged)
	s.dropped(s.deliver(second, 1), protocol.Acknowledged)
	s.gated(s.read(0))
	s.released(s.read(2), "")

	// In one slot, too, an acknowledgement is of one version only.
	late := []protocol.Message{s.apply(first, 0), s.apply(first, 1), s.apply(first, 2)}
	s.dropped(s.hear(late[1], 1), protocol.Acknowledged)
	s.answered(s.hear(late[2], 2), protocol.StatusOK)
	third := s.put(a, 2, "third")
	for i, ack := range late {
		s.dropped(s.hear(ack, i), protocol.StaleAck)
	}
	s.pending(third)
}

// Hazard 2: an acknowledgement that comes twice counts as two.
func TestAcknowledgementThatComesTwiceCountsOnce(t *testing.T) {
	s := newScene(t, 3)
	w := s.put(s.open(0), 1, "a")
	ack := s.apply(w, 0)
	for range 4 {
		s.dropped(s.hear(ack, 0), protocol.Acknowledged)
	}
	s.pending(w)
	s.gated(s.read(0))
	s.released(s.read(1), "")
}

// Hazard 3: a read is sent while its key is clean, and overtaken by a write.
func TestReadOvertakenByAWriteIsGated(t *testing.T) {
	s := newScene(t, 2)
	a := s.open(0)
	early := s.readOf(1)
	w := s.put(a, 1, "a")
	ack := s.apply(w, 1)
	reply := s.apply(early, 1)
	s.gated(s.hear(reply, 1))
	s.released(s.read(0), "")
	s.dropped(s.hear(ack, 1), protocol.Acknowledged)
	s.gated(s.hear(reply, 1))
	s.answered(s.deliver(w, 0), protocol.StatusOK)
	s.released(s.hear(reply, 1), "a")
}

// Hazard 4: a value is read of a member before all have it, and then an older one
// of a member that acknowledged something else last.
func TestUncommittedValueIsNotReleased(t *testing.T) {
	s := newScene(t, 3)
	a, b := s.open(0), s.open(1)
	first := s.put(a, 1, "first")
	s.commit(first)
	second := s.put(b, 1, "second")
	s.dropped(s.deliver(second, 0), protocol.Acknowledged)
	s.gated(s.read(0))
	s.dropped(s.deliver(first, 1), protocol.LateAck)
	s.gated(s.read(0))
	s.released(s.read(1), "first")
	s.dropped(s.deliver(second, 1), protocol.Acknowledged)
	for i, want := range []string{"", "", "first"} {
		if o := s.read(i); want == "" {
			s.gated(o)
		} else {
			s.released(o, want)
		}
	}
	s.answered(s.deliver(second, 2), protocol.StatusOK)
	for i := range 3 {
		s.released(s.read(i), "second")
	}
}

// Hazard 6: the commit of one write settles a newer one of the key.
func TestCommitSettlesItsOwnVersionOnly(t *testing.T) {
	s := newScene(t, 2)
	first, second := s.put(s.open(0), 1, "first"), s.put(s.open(1), 1, "second")
	ack := s.apply(second, 0)
	s.commit(first)
	s.pending(second)
	s.gated(s.read(0))
	s.released(s.read(1), "first")
	s.dropped(s.hear(ack, 0), protocol.Acknowledged)
	s.answered(s.deliver(second, 1), protocol.StatusOK)
	s.released(s.read(0), "second")
}

// Hazard 7: a write is committed by some of the members.
func TestCommitWaitsForEveryMember(t *testing.T) {
	for missing := range 3 {
		s := newScene(t, 3)
		w := s.put(s.open(0), 1, "a")
		for i := range 3 {
			if i != missing {
				s.dropped(s.deliver(w, i), protocol.Acknowledged)
			}
		}
		s.pending(w)
		s.gated(s.read((missing + 1) % 3))
		s.released(s.read(missing), "")
		s.answered(s.deliver(w, missing), protocol.StatusOK)
	}
}

// Hazard 8: a write is multicast before it is entered. That it is entered under
// its lock, whatever another processor does, TestConcurrentDuplicates shows.
func TestWriteIsEnteredBeforeItIsMulticast(t *testing.T) {
	s := newScene(t, 2)
	a := s.open(0)
	m := writeRequest(a, 1, "k", "a")
	got, err := s.dp.HandleFrame(protocol.NewFrame(&m, client(0), self))
	if err != nil || got.Verdict != protocol.Multicast {
		t.Fatalf("%v (%v), %v", got.Verdict, got.Reason, err)
	}
	// Nothing has left yet: this is the frame as it is before it is cloned.
	state, err := s.dp.State()
	if err != nil {
		t.Fatal(err)
	}
	if e := state.Sessions[a.Slot()]; e.Seq != 1 || !e.Pending() || e.Request != 1 || e.Digest != m.Digest || e.KeyHash != m.KeyHash {
		t.Errorf("a write is about to be multicast, and its slot holds %+v", e)
	}
}

// Hazard 9: two writes arrive in different orders.
func TestWritesArriveInAnyOrder(t *testing.T) {
	s := newScene(t, 2)
	first, second := s.put(s.open(0), 1, "first"), s.put(s.open(1), 1, "second")
	s.dropped(s.deliver(first, 0), protocol.Acknowledged)
	s.dropped(s.deliver(second, 0), protocol.Acknowledged)
	s.answered(s.deliver(second, 1), protocol.StatusOK)
	s.answered(s.deliver(first, 1), protocol.StatusOK) // Stale, and acknowledged.
	for i := range 2 {
		s.released(s.read(i), "second")
	}
}

// Hazard 10: a late copy of a put meets a deleted key.
func TestDeletedKeyRefusesALateWrite(t *testing.T) {
	s := newScene(t, 2)
	a := s.open(0)
	first := s.put(a, 1, "a")
	s.commit(first)
	s.commit(s.multicast(s.request(deletion(a, 2))))
	for i := range 2 {
		s.dropped(s.deliver(first, i), protocol.StaleAck)
		s.released(s.read(i), "")
	}
}

// Hazard 11: a request that comes again gets another version.
func TestRequestThatComesAgainTakesEffectOnce(t *testing.T) {
	s := newScene(t, 2)
	a := s.open(0)
	s.commit(s.put(a, 1, "a"))
	s.commit(s.put(s.open(1), 1, "b"))
	s.answered(s.request(writeRequest(a, 1, "k", "a")), protocol.StatusOK)
	s.commit(s.put(a, 2, "c"))
	s.dropped(s.request(writeRequest(a, 1, "k", "a")), protocol.StaleRequest)
	if s.model.NextSeq != 3 {
		t.Errorf("%d versions for three requests", s.model.NextSeq)
	}
	s.released(s.read(0), "c")
}

// Hazard 12: a write or an acknowledgement is lost, and a timer makes up for it.
func TestLostAcknowledgementsAreMadeUpFor(t *testing.T) {
	s := newScene(t, 2)
	a := s.open(0)
	w := s.put(a, 1, "a")
	s.dropped(s.deliver(w, 0), protocol.Acknowledged)
	s.idle()
	s.idle()
	s.pending(w)
	s.gated(s.read(0))
	again := s.put(a, 1, "a")
	if again.Version != w.Version {
		t.Fatalf("sent again as version %v, and it is %v", again.Version, w.Version)
	}
	s.answered(s.deliver(again, 1), protocol.StatusOK)

	// The writer is gone, and all have the value: a read that goes round long
	// enough finishes the write.
	w = s.put(a, 2, "b")
	s.apply(w, 0)
	s.apply(w, 1)
	read := s.readOf(0)
	for i := 0; read.Type == protocol.Read; i = read.Replica.Index() {
		read = s.sent(s.deliver(read, i))
	}
	if read.Type != protocol.Write || read.Version != w.Version {
		t.Fatalf("in the end there is a %v of version %v", read.Type, read.Version)
	}
	s.dropped(s.deliver(read, 0), protocol.Acknowledged)
	s.dropped(s.deliver(read, 1), protocol.Unclaimed)
	s.released(s.read(0), "b")
}

// Hazard 14: two sessions collide in one slot.
func TestSessionsDoNotShareASlot(t *testing.T) {
	s := newScene(t, 2)
	a := s.open(3)
	s.idle()
	b := s.open(3)
	s.answered(s.request(writeRequest(a, 1, "k", "a")), protocol.StatusExpired)
	w := s.put(b, 1, "b")
	s.apply(w, 0)
	s.answered(s.request(writeRequest(a, 1, "k", "a")), protocol.StatusExpired)
	s.pending(w)
	s.gated(s.read(0))
}

// Hazard 15: the table is full, and a pending write is forgotten, or a new one not
// entered.
func TestFullTableForgetsNothing(t *testing.T) {
	s := newScene(t, 2)
	var writes []protocol.Message
	for slot := range testSlots {
		writes = append(writes, s.put(s.open(slot), 1, "v"))
		s.apply(writes[slot], 0)
	}
	s.idle()
	s.idle()
	for slot := range testSlots {
		if m := s.sent(s.tryOpen(slot)); m.Status != protocol.StatusBusy || m.Session != 0 {
			t.Fatalf("slot %d is given to %v (%v)", slot, m.Session, m.Status)
		}
		s.pending(writes[slot])
		s.gated(s.read(0))
	}
	homeless := protocol.MintSessionID(s.model.Epoch, 2, 5)
	s.answered(s.request(writeRequest(homeless, 1, "k", "w")), protocol.StatusExpired)
	if s.model.NextSeq != testSlots {
		t.Errorf("%d versions for %d writes", s.model.NextSeq, testSlots)
	}
}

// Hazard 23: a write that a newer one replaces is answered before it is committed.
func TestSupersededWriteIsAnsweredWhenCommitted(t *testing.T) {
	s := newScene(t, 2)
	first, second := s.put(s.open(0), 1, "first"), s.put(s.open(1), 1, "second")
	ack := s.apply(first, 0)
	s.dropped(s.hear(ack, 0), protocol.Acknowledged)
	s.released(s.read(1), "")
	s.commit(second)
	s.dropped(s.hear(ack, 0), protocol.Acknowledged)
	s.pending(first)
	s.answered(s.deliver(first, 1), protocol.StatusOK)
	s.released(s.read(1), "second")
}

// Hazard 26: a tombstone is collected, and then an older write arrives.
func TestCollectedTombstoneRefusesALateWrite(t *testing.T) {
	s := newScene(t, 2)
	a := s.open(0)
	put := s.put(a, 1, "a")
	s.commit(put)
	remove := s.multicast(s.request(deletion(a, 2)))
	s.commit(remove)
	if !s.replicas[0].Settle(s.model.Epoch, remove.Version, remove.Version) {
		t.Fatal("the replica does not raise its marks")
	}
	s.replicas[0].Store = protocol.MemoryStore{} // That was its only record.
	s.dropped(s.deliver(put, 0), protocol.StaleAck)
	s.released(s.read(0), "")
	s.commit(s.put(a, 3, "b"))
	s.released(s.read(0), "b")
}

// Hazard 27: messages of a session meet the one that has its slot now.
func TestLateMessagesOfAReclaimedSession(t *testing.T) {
	s := newScene(t, 2)
	a := s.open(0)
	first := s.put(a, 1, "first")
	s.commit(first)
	s.idle()
	b := s.open(0)
	if a == b {
		t.Fatalf("both sessions are %v", a)
	}
	s.released(s.read(0), "first") // The slot still knows that it is committed.
	s.answered(s.request(writeRequest(a, 1, "k", "first")), protocol.StatusExpired)
	s.answered(s.request(writeRequest(a, 2, "k", "late")), protocol.StatusExpired)
	second := s.put(b, 1, "second")
	s.answered(s.request(writeRequest(a, 2, "k", "late")), protocol.StatusExpired)
	for i := range 2 {
		s.dropped(s.deliver(first, i), protocol.StaleAck)
	}
	s.pending(second)
	s.commit(second)
}

// Hazard 38: a pending write that no member holds is given up, and a late copy
// arrives.
func TestPendingWriteThatNobodyHoldsStays(t *testing.T) {
	s := newScene(t, 2)
	w := s.put(s.open(0), 1, "a")
	s.idle()
	s.idle()
	if m := s.sent(s.tryOpen(0)); m.Session.Slot() == 0 {
		t.Fatalf("the slot of a pending write is given to %v", m.Session)
	}
	s.apply(w, 0)
	s.pending(w)
	s.gated(s.read(0))
	s.released(s.read(1), "")
}

// Hazard 39: a client takes BUSY for the end of a write, of which another copy is
// sequenced.
func TestBusyIsNoOutcome(t *testing.T) {
	s := newScene(t, 2)
	session := protocol.Session{ID: s.open(0)}
	m := session.InvokeWrite(1, 0, protocol.OpPut, []byte("k"), []byte("a"))
	members := s.model.Members
	s.model.Members, s.model.Serving = 0, 0
	restore(t, s.dp, s.model)
	busy := s.request(m)
	s.answered(busy, protocol.StatusBusy)
	if r := session.HandleWriteResponse(s.sent(busy)); r != protocol.Waiting {
		t.Fatalf("told BUSY, the client is %v", r)
	}
	s.model.Members, s.model.Serving = members, members
	restore(t, s.dp, s.model)
	s.commit(s.multicast(s.request(m)))
	if r := session.Abandon(); r != protocol.Unknown || !session.Closed {
		t.Errorf("the client gives up a write that happened as %v, closed %v", r, session.Closed)
	}
	s.released(s.read(0), "a")
}

// Hazard 42: a write is refused, and yet its request is taken for one made before
// when it comes again.
func TestRefusedWriteLeavesNoTrace(t *testing.T) {
	s := newScene(t, 2)
	a := s.open(0)
	first := s.put(a, 1, "first")
	next := writeRequest(a, 2, "k", "second")
	for range 2 {
		s.answered(s.request(next), protocol.StatusBusy)
		s.pending(first)
	}
	s.commit(first)
	second := s.multicast(s.request(next))
	s.pending(second)
	s.apply(second, 0)
	s.gated(s.read(0))

	s.model.NextSeq = protocol.MaxSeq
	restore(t, s.dp, s.model)
	s.commit(second)
	for range 2 {
		s.answered(s.request(writeRequest(a, 3, "k", "third")), protocol.StatusBusy)
	}
	s.released(s.read(0), "second")
}
