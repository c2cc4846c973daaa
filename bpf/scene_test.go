// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"testing"

	"dalio/protocol"
)

// scene is a shard without a network: a test hands messages over one by one, in
// any order, twice or never. Its coordinator is the bytecode and the reference
// model at once, which must agree in every byte and in all of their state after
// each message. The key is always k, and readers and writers have one address.
type scene struct {
	*testing.T
	dp       *DataPlane
	model    *protocol.Coordinator
	replicas []*protocol.Replica
	// ids makes the request ids of reads and the nonces of opens.
	ids uint64
}

func newScene(t *testing.T, members int) *scene {
	t.Helper()
	s := &scene{T: t, dp: load(t, ""), model: shard(members)}
	for i := range members {
		s.replicas = append(s.replicas, &protocol.Replica{ID: replica(i).ID, Epoch: s.model.Epoch, Store: protocol.MemoryStore{}})
	}
	restore(t, s.dp, s.model)
	return s
}

// handle gives a message to both coordinators.
func (s *scene) handle(m protocol.Message, from protocol.Address) protocol.Outcome {
	s.Helper()
	frame := protocol.NewFrame(&m, from, self)
	got, err := s.dp.HandleFrame(frame)
	if err != nil {
		s.Fatal(err)
	}
	if difference := compare(s.dp, s.model, frame, got); difference != "" {
		s.Fatalf("%v: %s", m.Type, difference)
	}
	return got
}

// idle lets the time pass after which a session may be reclaimed.
func (s *scene) idle() {
	s.Helper()
	for range testTTL {
		s.model.Tick++
		if err := s.dp.Tick(); err != nil {
			s.Fatal(err)
		}
	}
}

// open opens a session in the slot, whose owner, if there is one, is idle.
func (s *scene) open(slot int) protocol.SessionID {
	s.Helper()
	m := s.sent(s.tryOpen(slot))
	if m.Status != protocol.StatusOK || m.Session.Slot() != slot {
		s.Fatalf("opened %v (%v) in place of slot %d", m.Session, m.Status, slot)
	}
	return m.Session
}

// tryOpen asks for a session; the slot is the first choice.
func (s *scene) tryOpen(slot int) protocol.Outcome {
	s.Helper()
	s.ids++
	nonce := s.ids*testSlots + uint64(slot)
	return s.handle(protocol.Message{Type: protocol.OpenRequest, Request: nonce}, client(0))
}

func (s *scene) request(m protocol.Message) protocol.Outcome {
	s.Helper()
	return s.handle(m, client(0))
}

// put makes a request, which must be multicast, and returns the Write.
func (s *scene) put(session protocol.SessionID, request uint64, value string) protocol.Message {
	s.Helper()
	return s.multicast(s.request(writeRequest(session, request, "k", value)))
}

func deletion(session protocol.SessionID, request uint64) protocol.Message {
	m := writeRequest(session, request, "k", "")
	m.Op = protocol.OpDelete
	return m
}

func (s *scene) multicast(o protocol.Outcome) protocol.Message {
	s.Helper()
	m := s.sent(o)
	if m.Type != protocol.Write {
		s.Fatalf("sent a %v in place of a Write", m.Type)
	}
	return m
}

// apply hands a message to replica i and returns its answer, which is still on
// its way.
func (s *scene) apply(m protocol.Message, i int) protocol.Message {
	s.Helper()
	m.Replica = s.replicas[i].ID
	answer, refused := s.replicas[i].Handle(m)
	if refused != protocol.NotRefused {
		s.Fatalf("replica %d refused a %v: %v", i, m.Type, refused)
	}
	return answer
}

// hear hands an answer of replica i to the coordinator.
func (s *scene) hear(answer protocol.Message, i int) protocol.Outcome {
	s.Helper()
	return s.handle(answer, replica(i).Address)
}

// deliver does both.
func (s *scene) deliver(m protocol.Message, i int) protocol.Outcome {
	s.Helper()
	return s.hear(s.apply(m, i), i)
}

// commit delivers a Write to every replica; the last acknowledgement must answer.
func (s *scene) commit(w protocol.Message) {
	s.Helper()
	for i := range s.replicas[1:] {
		s.dropped(s.deliver(w, i), protocol.Acknowledged)
	}
	s.answered(s.deliver(w, len(s.replicas)-1), protocol.StatusOK)
}

// readOf asks for the key, until the coordinator chooses replica i, and returns
// the Read.
func (s *scene) readOf(i int) protocol.Message {
	s.Helper()
	for range s.replicas {
		s.ids++
		if m := s.sent(s.request(readRequest(s.ids, "k"))); m.Type == protocol.Read && m.Replica == s.replicas[i].ID {
			return m
		}
	}
	s.Fatalf("no read goes to replica %d", i)
	return protocol.Message{}
}

// read reads the key at replica i.
func (s *scene) read(i int) protocol.Outcome {
	s.Helper()
	return s.deliver(s.readOf(i), i)
}

func (s *scene) sent(o protocol.Outcome) protocol.Message {
	s.Helper()
	if o.Verdict != protocol.Transmit && o.Verdict != protocol.Multicast {
		s.Fatalf("nothing was sent: %v (%v)", o.Verdict, o.Reason)
	}
	return mustDecode(s, o.Frame)
}

func (s *scene) dropped(o protocol.Outcome, want protocol.Reason) {
	s.Helper()
	if o.Verdict != protocol.Drop || o.Reason != want {
		s.Fatalf("%v (%v), want a drop (%v)", o.Verdict, o.Reason, want)
	}
}

func (s *scene) answered(o protocol.Outcome, want protocol.Status) {
	s.Helper()
	if m := s.sent(o); m.Type != protocol.WriteResponse || m.Status != want {
		s.Fatalf("sent a %v (%v), want a WriteResponse (%v)", m.Type, m.Status, want)
	}
}

// released fails unless the reader gets the value, "" for none.
func (s *scene) released(o protocol.Outcome, want string) {
	s.Helper()
	m := s.sent(o)
	if m.Type != protocol.ReadResponse || m.Status != protocol.StatusOK || string(m.Value) != want || (m.Op == protocol.OpPut) != (want != "") {
		s.Fatalf("sent a %v (%v) of %v %q, want a ReadResponse of %q", m.Type, m.Status, m.Op, m.Value, want)
	}
}

// gated fails unless the reply asks elsewhere, or drives its write on.
func (s *scene) gated(o protocol.Outcome) {
	s.Helper()
	if m := s.sent(o); m.Type != protocol.Read && m.Type != protocol.Write {
		s.Fatalf("sent a %v of %v %q, which is not committed", m.Type, m.Op, m.Value)
	}
}

// pending fails unless the session's slot holds a pending write of this version.
func (s *scene) pending(w protocol.Message) {
	s.Helper()
	e := s.model.Sessions[w.Session.Slot()]
	if e.Owner != w.Session || e.Seq != w.Version.Seq || !e.Pending() {
		s.Fatalf("version %v is not pending: its slot holds %+v", w.Version, e)
	}
}
