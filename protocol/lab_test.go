// SPDX-License-Identifier: Apache-2.0

package protocol

import "testing"

// lab is a shard of models without a network: its tests hand messages over.
type lab struct {
	Coordinator
	replicas []*Replica
}

var clientAddress = Address{[4]byte{10, 0, 0, 100}, 5000, [6]byte{2, 0, 0, 0, 0, 100}}

func newLab(replicas, slots int) *lab {
	l := &lab{Coordinator: Coordinator{
		Self:       Address{[4]byte{10, 0, 0, 1}, Port, [6]byte{2, 0, 0, 0, 0, 1}},
		Epoch:      3,
		SessionTTL: 10,
		Tick:       100,
		Sessions:   make([]SessionEntry, slots),
	}}
	for i := range replicas {
		id := ReplicaID(16 + i)
		l.Known[i] = Member{id, Address{[4]byte{10, 0, 0, byte(10 + i)}, Port, [6]byte{2, 0, 0, 0, 0, byte(10 + i)}}}
		l.Members |= 1 << i
		l.replicas = append(l.replicas, &Replica{ID: id, Epoch: l.Epoch, Store: MemoryStore{}})
	}
	l.Serving = l.Members
	return l
}

// open opens a session in the slot.
func (l *lab) open(t *testing.T, slot int) SessionID {
	t.Helper()
	out := l.HandleOpenRequest(Message{Type: OpenRequest, Request: uint64(len(l.Sessions) + slot)}, clientAddress)
	if out.Message == nil || out.Message.Status != StatusOK || out.Message.Session.Slot() != slot {
		t.Fatalf("open of slot %d: %+v", slot, out)
	}
	return out.Message.Session
}

func put(s SessionID, request uint64, key, value string) Message {
	return Message{Type: WriteRequest, Op: OpPut, Session: s, Request: request, Key: []byte(key), Value: []byte(value),
		KeyHash: KeyHash([]byte(key)), Digest: Digest([]byte(key), []byte(value))}
}

func get(s SessionID, request uint64, key string) Message {
	return Message{Type: ReadRequest, Session: s, Request: request, Key: []byte(key), KeyHash: KeyHash([]byte(key))}
}

// write has the coordinator take a write and returns what it multicasts.
func (l *lab) write(t *testing.T, m Message) Message {
	t.Helper()
	out := l.HandleWriteRequest(m, clientAddress)
	if out.Targets == 0 {
		t.Fatalf("%v of %q was not multicast: %+v", m.Op, m.Key, out)
	}
	return *out.Message
}

// deliver hands a message from the coordinator to replica i and the answer back.
func (l *lab) deliver(t *testing.T, m Message, i int) Output {
	t.Helper()
	answer := l.answer(t, m, i)
	if answer.Type == WriteAck {
		return l.HandleWriteAck(answer, l.Known[i].Address)
	}
	return l.HandleReadReply(answer, l.Known[i].Address)
}

// answer hands a message to replica i and returns its answer.
func (l *lab) answer(t *testing.T, m Message, i int) Message {
	t.Helper()
	m.Replica = l.replicas[i].ID
	answer, refused := l.replicas[i].Handle(m)
	if refused != NotRefused {
		t.Fatalf("replica %d refused %v: %v", i, m.Type, refused)
	}
	return answer
}

func expectDrop(t *testing.T, out Output, want Reason) {
	t.Helper()
	if out.Message != nil || out.Reason != want {
		t.Fatalf("got reason %v and message %+v, want the message dropped as %v", out.Reason, out.Message, want)
	}
}

func expectAnswer(t *testing.T, out Output, typ MessageType, s Status) Message {
	t.Helper()
	if out.Message == nil || out.Targets != 0 || out.Message.Type != typ || out.Message.Status != s {
		t.Fatalf("got %+v (message %+v), want %v %v", out, out.Message, typ, s)
	}
	if out.To != clientAddress {
		t.Fatalf("the answer goes to %v", out.To)
	}
	return *out.Message
}
