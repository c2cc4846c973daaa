// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"

	"dalio/traces/event"
)

// state is that of the specification, as the events tell of it. Nothing is decided
// here: each field is what some event said it became, and TLC checks that it did.
type state struct {
	told     map[string]uint64
	messages map[message]bool
	nextSeq  uint64
	entries  map[uint32]entry
	store    map[held]record
	clients  map[int]client
}

type entry struct {
	minted  uint16
	owner   event.Session
	nonce   call
	request int
	key     event.Hash // 0 for none
	value   string
	seq     uint64
	acks    uint16
}

// committed are the acks of a write that is done.
const committed = 1<<16 - 1

func (e entry) done() bool { return e.acks == committed || e.seq == 0 }

// held names what a replica holds of a key.
type held struct {
	replica uint32
	key     event.Hash
}

type record struct {
	version event.Version
	value   string
	writer  event.Session
}

type client struct {
	session event.Session
	request int
	status  string
	op      string
	key     event.Hash
	value   string
}

func newState() *state {
	return &state{told: map[string]uint64{}, messages: map[message]bool{}, entries: map[uint32]entry{}, store: map[held]record{}, clients: map[int]client{}}
}

// copy returns a state that does not change with this one.
func (s *state) copy() *state {
	return &state{maps.Clone(s.told), maps.Clone(s.messages), s.nextSeq, maps.Clone(s.entries), maps.Clone(s.store), maps.Clone(s.clients)}
}

// take takes in what a step says has changed; keep has those of its messages that
// will be received, and last says that the one it received will not be again.
func (s *state) take(st *step, keep []message, last bool) {
	s.told[st.By] = st.N
	if last {
		delete(s.messages, *st.receives)
	}
	for _, m := range keep {
		s.messages[m] = true
	}
	switch {
	case st.action == ignored:
	case st.Lane != "":
		s.takeClient(st)
	case st.Event.Event == "HandleWrite" && st.Applied:
		s.store[held{st.Replica, st.Key}] = record{st.Version, st.Value, st.Session}
	case st.Slot != nil:
		s.takeSlot(st)
	}
}

func (s *state) takeSlot(st *step) {
	slot := slotOf(st.Event)
	e := s.entries[slot]
	if st.Slot.Taken {
		e = entry{minted: st.Slot.Owner.Count(), owner: st.Slot.Owner, nonce: st.call, seq: e.seq, acks: e.acks}
	}
	if st.Slot.Changed {
		e.seq, e.acks = st.Slot.Seq, st.Slot.Acks
		if gives(st) {
			e.request, e.key, e.value = st.call.request, st.Key, st.Value
			s.nextSeq = st.Slot.Seq
		}
	}
	s.entries[slot] = e
}

func (s *state) takeClient(st *step) {
	c := s.clients[st.call.client]
	switch st.Event.Event {
	case "InvokeRead":
		c.request, c.status, c.op, c.key, c.value = st.call.request, "open", "read", st.Key, ""
	case "InvokeWrite":
		c.request, c.status, c.op, c.key, c.value = st.call.request, "open", "write", st.Key, st.Value
	case "HandleOpenResponse":
		c.session = st.Session
	case "HandleReadResponse":
		c.status, c.value = "ok", st.Value
	case "HandleWriteResponse":
		if c.status = "ok"; st.Status != "OK" {
			c.status = "unknown"
		}
	case "Abandon":
		if c.status = "failed"; c.op == "write" && c.session != 0 {
			c.status = "unknown"
		}
	}
	s.clients[st.call.client] = c
}
