// SPDX-License-Identifier: Apache-2.0

package protocol

import "testing"

func versioned(m Message, seq uint64) Message {
	m.Type, m.Epoch, m.Replica, m.Version, m.Writer = Write, 3, 16, Version{3, seq}, m.Session
	return m
}

func TestReplicaAppliesOnlyNewerWritesAndAcknowledgesAll(t *testing.T) {
	r := Replica{ID: 16, Epoch: 3, Store: MemoryStore{}}
	tombstone := Message{Type: WriteRequest, Op: OpDelete, Session: 1, Request: 2, Key: []byte("k"),
		KeyHash: KeyHash([]byte("k")), Digest: Digest([]byte("k"), nil)}
	for _, step := range []struct {
		what  string
		write Message
		op    Op
		value string
		seq   uint64
	}{
		{"the first write", versioned(put(1, 1, "k", "one"), 5), OpPut, "one", 5},
		{"an older write", versioned(put(2, 1, "k", "old"), 4), OpPut, "one", 5},
		{"its duplicate", versioned(put(1, 1, "k", "one"), 5), OpPut, "one", 5},
		{"a delete", versioned(tombstone, 8), OpDelete, "", 8},
		{"a write older than the delete", versioned(put(3, 1, "k", "late"), 7), OpDelete, "", 8},
		{"a newer write", versioned(put(3, 2, "k", "new"), 9), OpPut, "new", 9},
	} {
		ack, refused := r.Handle(step.write)
		if refused != NotRefused || ack.Type != WriteAck || ack.Version != step.write.Version || ack.Replica != r.ID ||
			len(ack.Key)+len(ack.Value) != 0 {
			t.Fatalf("%s: acknowledged with %+v (%v)", step.what, ack, refused)
		}
		reply, _ := r.Handle(Message{Type: Read, Epoch: 3, Replica: 16, Request: 1, Key: []byte("k"), KeyHash: KeyHash([]byte("k"))})
		if reply.Type != ReadReply || reply.Op != step.op || string(reply.Value) != step.value || reply.Version.Seq != step.seq {
			t.Fatalf("after %s the key reads as %+v", step.what, reply)
		}
		if reply.Op == OpPut && reply.Digest != Digest([]byte("k"), reply.Value) {
			t.Fatalf("after %s the digest is that of something else", step.what)
		}
	}
}

func TestReplicaTakesWritesUpToItsMarkForStale(t *testing.T) {
	r := Replica{ID: 16, Epoch: 3, Store: MemoryStore{}}
	// The tombstone of version 8 is gone.
	if !r.Settle(3, Version{3, 8}, Version{3, 8}) {
		t.Fatal("the marks are not raised")
	}
	for seq, applied := range map[uint64]bool{7: false, 8: false, 9: true} {
		r.Store = MemoryStore{}
		ack, refused := r.Handle(versioned(put(1, 1, "k", "v"), seq))
		if refused != NotRefused || ack.Type != WriteAck || ack.Version.Seq != seq {
			t.Errorf("version %d is acknowledged with %+v (%v)", seq, ack, refused)
		}
		if held := r.Store.Get([]byte("k")); (held.Version.Seq == seq) != applied {
			t.Errorf("after version %d the key has version %v", seq, held.Version)
		}
	}
}

func TestReplicaKeepsEpochsApart(t *testing.T) {
	r := Replica{ID: 16, Epoch: 3, Store: MemoryStore{}}
	old := put(1, 1, "k", "old")
	old.Type, old.Epoch, old.Replica, old.Version = Write, 3, 16, Version{2, 900}
	r.Handle(versioned(put(2, 1, "k", "new"), 1))
	r.Handle(old)
	if got := r.Store.Get([]byte("k")); string(got.Value) != "new" {
		t.Fatalf("version 2.900 replaced 3.1: %+v", got)
	}
}

func TestReplicaRefusals(t *testing.T) {
	seen := map[Refusal]bool{}
	for _, c := range []struct {
		what   string
		change func(m *Message)
		want   Refusal
	}{
		{"an older epoch", func(m *Message) { m.Epoch = 2 }, RefusedEpoch},
		{"a newer epoch", func(m *Message) { m.Epoch = 4 }, RefusedEpoch},
		{"another replica", func(m *Message) { m.Replica = 17 }, RefusedReplica},
		{"an earlier membership", func(m *Message) { m.Replica = 0 }, RefusedReplica},
		{"a client's message", func(m *Message) { m.Type = WriteRequest }, RefusedType},
		{"no key", func(m *Message) { m.Key = nil }, RefusedKey},
		{"a hash of another key", func(m *Message) { m.KeyHash++ }, RefusedKey},
		{"a damaged value", func(m *Message) { m.Value = []byte("V") }, RefusedDigest},
	} {
		store := MemoryStore{}
		r := Replica{ID: 16, Epoch: 3, Store: store}
		m := versioned(put(1, 1, "k", "v"), 5)
		c.change(&m)
		if _, refused := r.Handle(m); refused != c.want || len(store) != 0 {
			t.Errorf("%s: %v, want %v; %d records", c.what, refused, c.want, len(store))
		}
		seen[c.want] = true
	}
	nobody := Replica{Epoch: 3, Store: MemoryStore{}}
	m := versioned(put(1, 1, "k", "v"), 5)
	m.Replica = 0
	if _, refused := nobody.Handle(m); refused != RefusedReplica {
		t.Errorf("a replica without a membership: %v", refused)
	}
	for _, r := range Refusals() {
		if !seen[r] {
			t.Errorf("no case for refusal %v", r)
		}
	}
}

// TestReplicaRecordsWhatItAcknowledges: an acknowledgement says that the session's
// record is here, of a stale write too (hazard 32).
func TestReplicaRecordsWhatItAcknowledges(t *testing.T) {
	for what, mark := range map[string]Version{"a newer version is here": {}, "it is below the mark": {3, 8}} {
		sessions := SessionTable{}
		r := Replica{ID: 16, Epoch: 3, Store: MemoryStore{}, Sessions: sessions, Collect: mark}
		r.Handle(versioned(put(2, 1, "k", "newer"), 9))
		stale := versioned(put(1, 4, "k", "stale"), 5)
		if ack, refused := r.Handle(stale); refused != NotRefused || ack.Type != WriteAck {
			t.Fatalf("%s: %+v (%v)", what, ack, refused)
		}
		if got, want := sessions[SessionID(1).Slot()], RecordOf(&stale); got != want {
			t.Errorf("%s: the session's record is %+v, want %+v", what, got, want)
		}
	}
}

// TestSessionRecordsAreOrdered: of a slot the record of the latest request stays,
// and a session of the slot is later than those before it.
func TestSessionRecordsAreOrdered(t *testing.T) {
	former, latter := MintSessionID(1, 1, 7), MintSessionID(1, 2, 7)
	for _, c := range []struct {
		what         string
		held, coming SessionRecord
		replaced     bool
	}{
		{"a later request", SessionRecord{Session: latter, Request: 3}, SessionRecord{Session: latter, Request: 4}, true},
		{"an earlier request", SessionRecord{Session: latter, Request: 3}, SessionRecord{Session: latter, Request: 2}, false},
		{"the same request under another version", SessionRecord{Session: latter, Request: 3},
			SessionRecord{Session: latter, Request: 3, Version: Version{2, 1}}, false},
		{"the first request of the slot's next session", SessionRecord{Session: former, Request: 9}, SessionRecord{Session: latter, Request: 1}, true},
		{"a late request of the slot's former session", SessionRecord{Session: latter, Request: 1}, SessionRecord{Session: former, Request: 9}, false},
	} {
		table := SessionTable{}
		table.Record(c.held)
		table.Record(c.coming)
		if got := table[7]; (got == c.coming) != c.replaced {
			t.Errorf("%s: the slot has %+v; replaced should be %v", c.what, got, c.replaced)
		}
	}
}

// TestProbesOfAReplica: who is fenced names the epoch that it is fenced for, so
// that the coordinator of an earlier one takes it for no sign of life.
func TestProbesOfAReplica(t *testing.T) {
	for what, c := range map[string]struct {
		r      Replica
		status Status
	}{
		"a member":            {Replica{ID: 16, Epoch: 3}, StatusOK},
		"one that was fenced": {Replica{ID: 16, Epoch: 3, Fenced: true}, StatusBusy},
		"no member":           {Replica{Epoch: 3}, StatusBusy},
	} {
		m, refused := c.r.Handle(Message{Type: Probe, Epoch: 2, Replica: 16, Request: 7, Sent: 5})
		if refused != NotRefused || m.Type != ProbeReply || m.Epoch != 3 || m.Replica != c.r.ID || m.Status != c.status || m.Sent != 5 {
			t.Errorf("%s answers %+v (%v), want epoch 3 and %v", what, m, refused, c.status)
		}
	}
}

// TestMarksOfAReplica: what is settled and what may be collected only ever grows,
// and a fenced replica's floor is what its recovery goes by.
func TestMarksOfAReplica(t *testing.T) {
	r := Replica{ID: 16, Epoch: 3, Store: MemoryStore{}}
	r.Settle(3, Version{3, 8}, Version{3, 6})
	r.Settle(3, Version{3, 7}, Version{3, 5})
	if r.Floor != (Version{3, 8}) || r.Collect != (Version{3, 6}) {
		t.Errorf("after a late word the floor is %v and the mark %v", r.Floor, r.Collect)
	}
	r.Fence(4)
	if r.Settle(4, Version{4, 9}, Version{4, 9}) || r.Floor != (Version{3, 8}) {
		t.Errorf("settled while it is fenced: the floor is %v", r.Floor)
	}
}

func TestMemoryStoreKeepsCopies(t *testing.T) {
	s, value := MemoryStore{}, []byte("value")
	s.Put([]byte("k"), Record{Version: Version{1, 1}, Value: value})
	value[0] = 'x'
	if got := s.Get([]byte("k")); string(got.Value) != "value" {
		t.Errorf("what was put has become %q", got.Value)
	}
}
