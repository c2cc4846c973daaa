// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"testing"
)

func TestWriteIsAnsweredWhenEveryMemberHasAcknowledged(t *testing.T) {
	l := newLab(3, 8)
	w := l.write(t, put(l.open(t, 0), 1, "k", "v"))
	expectDrop(t, l.deliver(t, w, 2), Acknowledged)
	expectDrop(t, l.deliver(t, w, 2), Acknowledged) // A duplicate of replica 2's is one member still.
	expectDrop(t, l.deliver(t, w, 0), Acknowledged)
	m := expectAnswer(t, l.deliver(t, w, 1), WriteResponse, StatusOK)
	if m.Version != (Version{3, 1}) || m.Request != 1 {
		t.Errorf("answered as %v, request %d", m.Version, m.Request)
	}
	expectDrop(t, l.deliver(t, w, 1), LateAck)
}

func TestRetryKeepsItsVersion(t *testing.T) {
	l := newLab(2, 8)
	s := l.open(t, 0)
	first := l.write(t, put(s, 1, "k", "v"))
	expectDrop(t, l.deliver(t, first, 0), Acknowledged)

	out := l.HandleWriteRequest(put(s, 1, "k", "v"), clientAddress)
	if out.Targets != 0b10 || out.Message.Version != first.Version {
		t.Fatalf("a retry goes to %b as %v, want only the member that has not acknowledged, as %v",
			out.Targets, out.Message.Version, first.Version)
	}
	expectAnswer(t, l.deliver(t, *out.Message, 1), WriteResponse, StatusOK)
	again := expectAnswer(t, l.HandleWriteRequest(put(s, 1, "k", "v"), clientAddress), WriteResponse, StatusOK)
	if again.Version != first.Version {
		t.Fatalf("answered again as %v", again.Version)
	}
	if l.NextSeq != 1 {
		t.Fatalf("%d versions for one request", l.NextSeq)
	}
}

func TestRequestIDIsNotForAnotherOperation(t *testing.T) {
	l := newLab(1, 8)
	s := l.open(t, 0)
	w := l.write(t, put(s, 2, "k", "v"))
	for _, other := range []Message{put(s, 2, "k", "w"), put(s, 2, "l", "v"), {Type: WriteRequest, Op: OpDelete, Session: s,
		Request: 2, Key: []byte("k"), KeyHash: KeyHash([]byte("k")), Digest: Digest([]byte("k"), nil)}} {
		expectAnswer(t, l.HandleWriteRequest(other, clientAddress), WriteResponse, StatusRefused)
	}
	expectDrop(t, l.HandleWriteRequest(put(s, 1, "k", "u"), clientAddress), StaleRequest)
	expectAnswer(t, l.deliver(t, w, 0), WriteResponse, StatusOK)
}

func TestSessionHasOnePendingWrite(t *testing.T) {
	l := newLab(1, 8)
	s := l.open(t, 0)
	w := l.write(t, put(s, 1, "a", "1"))
	expectAnswer(t, l.HandleWriteRequest(put(s, 2, "b", "2"), clientAddress), WriteResponse, StatusBusy)
	expectAnswer(t, l.deliver(t, w, 0), WriteResponse, StatusOK)
	l.write(t, put(s, 2, "b", "2"))
}

func TestSequenceNumbersDoNotWrap(t *testing.T) {
	l := newLab(1, 8)
	l.NextSeq = MaxSeq - 1
	s := l.open(t, 0)
	w := l.write(t, put(s, 1, "k", "last"))
	expectAnswer(t, l.deliver(t, w, 0), WriteResponse, StatusOK)
	expectAnswer(t, l.HandleWriteRequest(put(s, 2, "k", "too many"), clientAddress), WriteResponse, StatusBusy)
}

func TestGateReleasesOnlyCommittedVersions(t *testing.T) {
	l := newLab(3, 8)
	s := l.open(t, 5)
	read := Message{Type: Read, Epoch: l.Epoch, Request: 9, Key: []byte("k"), KeyHash: KeyHash([]byte("k")), Client: clientAddress}

	m := expectAnswer(t, l.deliver(t, read, 0), ReadResponse, StatusOK)
	if m.Op != OpNone || m.Replica != l.Known[0].ID {
		t.Fatalf("a key never written reads as %+v", m)
	}

	w := l.write(t, put(s, 1, "k", "v"))
	l.answer(t, w, 0) // Applied, but the acknowledgement is lost.
	expectDrop(t, l.deliver(t, w, 1), Acknowledged)
	out := l.deliver(t, read, 0)
	if out.Message.Type != Read || out.Message.Hops != 1 || out.To != l.Known[2].Address {
		t.Fatalf("the gated read goes on as %+v to %v", out.Message, out.To)
	}
	m = expectAnswer(t, l.deliver(t, *out.Message, 2), ReadResponse, StatusOK)
	if m.Op != OpNone {
		t.Fatalf("member 2 holds no write, yet reads %+v", m)
	}

	expectDrop(t, l.deliver(t, w, 2), Acknowledged)
	out = l.deliver(t, read, 0)
	if out.Message.Type != Read || out.To != l.Known[0].Address {
		t.Fatalf("with only the replier missing, the read goes on as %+v to %v", out.Message, out.To)
	}
	expectAnswer(t, l.deliver(t, w, 0), WriteResponse, StatusOK)
	m = expectAnswer(t, l.deliver(t, read, 0), ReadResponse, StatusOK)
	if m.Op != OpPut || string(m.Value) != "v" {
		t.Fatalf("the committed write reads as %+v", m)
	}
}

func TestGateRemembersAVersionWhoseSlotHasMovedOn(t *testing.T) {
	l := newLab(1, 8)
	s := l.open(t, 0)
	w := l.write(t, put(s, 1, "a", "1"))
	read := Message{Type: Read, Epoch: l.Epoch, Request: 9, Key: []byte("a"), KeyHash: KeyHash([]byte("a")), Client: clientAddress}
	expectAnswer(t, l.deliver(t, w, 0), WriteResponse, StatusOK)
	early := l.answer(t, read, 0)
	l.write(t, put(s, 2, "b", "2"))
	m := expectAnswer(t, l.HandleReadReply(early, l.Known[0].Address), ReadResponse, StatusOK)
	if string(m.Value) != "1" {
		t.Fatalf("read %q", m.Value)
	}
	early.Version.Seq = 7
	expectDrop(t, l.HandleReadReply(early, l.Known[0].Address), UnknownVersion)
}

func TestWriteOfAVanishedWriterIsRedriven(t *testing.T) {
	l := newLab(2, 8)
	w := l.write(t, put(l.open(t, 0), 1, "k", "v"))
	l.answer(t, w, 0)
	l.answer(t, w, 1) // Every acknowledgement is lost, and nobody retries.
	read := Message{Type: Read, Epoch: l.Epoch, Request: 9, Key: []byte("k"), KeyHash: KeyHash([]byte("k")), Client: clientAddress}
	target := 0
	for range MaxHops {
		out := l.deliver(t, read, target)
		if out.Message == nil || out.Message.Type != Read {
			t.Fatalf("hop %d: %+v", read.Hops, out)
		}
		read, target = *out.Message, out.Message.Replica.Index()
	}
	out := l.deliver(t, read, target)
	if out.Message == nil || out.Message.Type != Write || out.Targets != 0b11 || out.Message.Version != w.Version ||
		out.Message.Client.valid() || out.Message.Session != w.Session || out.Message.Request != 1 {
		t.Fatalf("after %d hops the reply becomes %+v", MaxHops, out.Message)
	}
	expectDrop(t, l.deliver(t, *out.Message, 0), Acknowledged)
	expectDrop(t, l.deliver(t, *out.Message, 1), Unclaimed)
	read.Hops = 0
	m := expectAnswer(t, l.deliver(t, read, 0), ReadResponse, StatusOK)
	if string(m.Value) != "v" {
		t.Fatalf("read %q", m.Value)
	}
	expectAnswer(t, l.HandleWriteRequest(put(w.Session, 1, "k", "v"), clientAddress), WriteResponse, StatusOK)
}

func TestGatedReadWithNobodyLeftToAskRedrivesAtOnce(t *testing.T) {
	l := newLab(2, 8)
	l.Serving = 0b01
	w := l.write(t, put(l.open(t, 0), 1, "k", "v"))
	expectDrop(t, l.deliver(t, w, 0), Acknowledged)
	read := Message{Type: Read, Epoch: l.Epoch, Request: 9, Key: []byte("k"), KeyHash: KeyHash([]byte("k")), Client: clientAddress}
	out := l.deliver(t, read, 0)
	if out.Message == nil || out.Message.Type != Write || out.Targets != 0b10 {
		t.Fatalf("got %+v (message %+v), want the write again to member 1", out, out.Message)
	}
}

func TestOpenIsIdempotentUntilTheFirstWrite(t *testing.T) {
	l := newLab(1, 8)
	open := func(nonce uint64) Message {
		return expectAnswer(t, l.HandleOpenRequest(Message{Type: OpenRequest, Request: nonce}, clientAddress), OpenResponse, StatusOK)
	}
	a := open(4)
	if b := open(4); b.Session != a.Session {
		t.Fatalf("one nonce opened %v and %v", a.Session, b.Session)
	}
	l.write(t, put(a.Session, 1, "k", "v"))
	if b := open(4); b.Session == a.Session {
		t.Fatal("a session in use was given to a late duplicate of its open")
	}
}

func TestFullTableIsBusyAndIdleSessionsAreReclaimed(t *testing.T) {
	l := newLab(1, 4)
	var ids []SessionID
	for slot := range l.Sessions {
		ids = append(ids, l.open(t, slot))
	}
	busy := func() {
		t.Helper()
		m := expectAnswer(t, l.HandleOpenRequest(Message{Type: OpenRequest, Request: 77}, clientAddress), OpenResponse, StatusBusy)
		if m.Session != 0 {
			t.Fatalf("BUSY, yet session %v", m.Session)
		}
	}
	busy()
	w := l.write(t, put(ids[2], 1, "k", "v"))
	l.Tick += l.SessionTTL - 1
	busy()
	l.Tick++
	for i := range ids {
		l.Sessions[i].Tick = l.Tick
	}
	l.Sessions[2].Tick -= l.SessionTTL
	busy() // Idle, but its write is pending.
	expectAnswer(t, l.deliver(t, w, 0), WriteResponse, StatusOK)
	m := expectAnswer(t, l.HandleOpenRequest(Message{Type: OpenRequest, Request: 77}, clientAddress), OpenResponse, StatusOK)
	if m.Session.Slot() != 2 || m.Session == ids[2] {
		t.Fatalf("reclaimed as %v", m.Session)
	}
	expectAnswer(t, l.HandleWriteRequest(put(ids[2], 2, "k", "w"), clientAddress), WriteResponse, StatusExpired)
	if l.Sessions[2].Seq != w.Version.Seq {
		t.Fatal("the gate forgot the slot's last version")
	}
}

func TestWornOutSlotIsRetired(t *testing.T) {
	l := newLab(1, 1)
	l.Sessions[0] = SessionEntry{Owner: MintSessionID(l.Epoch, maxCount, 0)}
	expectAnswer(t, l.HandleOpenRequest(Message{Type: OpenRequest, Request: 1}, clientAddress), OpenResponse, StatusBusy)
	l.Epoch++
	m := expectAnswer(t, l.HandleOpenRequest(Message{Type: OpenRequest, Request: 1}, clientAddress), OpenResponse, StatusOK)
	if m.Session != MintSessionID(l.Epoch, 1, 0) {
		t.Fatalf("opened %v", m.Session)
	}
}

func TestReadsGoRoundTheServingMembers(t *testing.T) {
	l := newLab(4, 8)
	l.Serving = 0b1011
	seen := map[Address]int{}
	for request := uint64(1); request <= 30; request++ {
		m := get(0, request, "k")
		out := l.HandleReadRequest(m, clientAddress)
		seen[out.To]++
		m.Attempt = 1
		if again := l.HandleReadRequest(m, clientAddress); again.To == out.To {
			t.Fatalf("a retry of request %d goes to the same replica again", request)
		}
	}
	for _, i := range []int{0, 1, 3} {
		if seen[l.Known[i].Address] != 10 {
			t.Errorf("replica %d got %d of 30 reads", i, seen[l.Known[i].Address])
		}
	}
	l.Serving = 0
	expectAnswer(t, l.HandleReadRequest(get(0, 1, "k"), clientAddress), ReadResponse, StatusBusy)
}

func TestStrangersAreNotHeard(t *testing.T) {
	l := newLab(2, 8)
	w := l.write(t, put(l.open(t, 0), 1, "k", "v"))
	ack := l.answer(t, w, 0)
	from := l.Known[0].Address
	for _, c := range []struct {
		what   string
		change func(m *Message, from *Address)
		want   Reason
	}{
		{"an older epoch", func(m *Message, _ *Address) { m.Epoch-- }, StaleEpoch},
		{"a newer epoch", func(m *Message, _ *Address) { m.Epoch++ }, FutureEpoch},
		{"an earlier membership", func(m *Message, _ *Address) { m.Replica -= MaxMembers }, UnknownReplica},
		{"an index without a member", func(m *Message, _ *Address) { m.Replica = 20 }, UnknownReplica},
		{"another host", func(_ *Message, a *Address) { a.IP[3]++ }, UnknownReplica},
		{"another port", func(_ *Message, a *Address) { a.Port++ }, UnknownReplica},
		{"a version of an older epoch", func(m *Message, _ *Address) { m.Version.Epoch-- }, StaleAck},
		{"a version not given out", func(m *Message, _ *Address) { m.Version.Seq++ }, StaleAck},
		{"a version of another slot", func(m *Message, _ *Address) { m.Writer++ }, StaleAck},
		{"no version", func(m *Message, _ *Address) { m.Version.Seq, m.Writer = 0, 3 }, StaleAck},
		{"a slot beyond the table", func(m *Message, _ *Address) { m.Writer = 8 }, BadSession},
		{"a payload", func(m *Message, _ *Address) { m.Key = []byte("k") }, BadReply},
	} {
		m, a := ack, from
		c.change(&m, &a)
		if out := l.HandleWriteAck(m, a); out.Message != nil || out.Reason != c.want {
			t.Errorf("an acknowledgement with %s: %v, want %v", c.what, out.Reason, c.want)
		}
	}
	expectDrop(t, l.HandleWriteAck(ack, from), Acknowledged)

	l.Serving = 0b10
	reply := l.answer(t, Message{Type: Read, Epoch: l.Epoch, Request: 9, Key: []byte("x"), KeyHash: KeyHash([]byte("x")), Client: clientAddress}, 0)
	expectDrop(t, l.HandleReadReply(reply, from), NotServing)
}
