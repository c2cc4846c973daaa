// SPDX-License-Identifier: Apache-2.0

package main

import (
	"dalio/traces/event"
)

// interpret returns the step that the event is.
func (in *interpreter) interpret(e *event.Event) *step {
	s := &step{Event: e, action: e.Event}
	if e.Lane != "" {
		in.ofClient(s)
		return s
	}
	s.call = in.caller(e)
	if e.Epoch != in.epoch || !protocolDrops[e.Drop] || e.Status == "BUSY" && e.Sends != "WriteResponse" {
		s.action = ignored
		return s
	}
	switch e.Event {
	case "HandleWrite", "HandleRead":
		if is := in.tellers[e.By]; is != 0 && is != e.Replica {
			s.call = in.callOf(0) // It tells of what another one did.
		}
		in.tellers[e.By] = e.Replica
		in.ofReplica(s)
	case "HandleReadReply":
		in.ofGate(s)
	default:
		in.ofRequest(s)
	}
	return s
}

func (in *interpreter) ofClient(s *step) {
	e := s.Event
	intent := in.requests[e.Request]
	if intent == nil {
		s.call = in.callOf(0)
		return
	}
	s.call, s.key = intent.call, intent.key
	switch e.Event {
	case "HandleOpenResponse":
		s.receives = &message{kind: "OpenResponse", caller: in.nonceCall(e), status: e.Status, session: e.Session}
	case "HandleWriteResponse":
		s.receives = &message{kind: "WriteResponse", caller: s.call, status: e.Status, session: e.Session}
	case "HandleReadResponse":
		s.receives = &message{kind: "ReadResponse", caller: s.call, status: e.Status, key: intent.key, value: e.Value}
	}
	switch e.Sends {
	case "ReadRequest":
		s.sends = []message{{kind: "ReadRequest", caller: s.call, key: intent.key}}
	case "OpenRequest":
		s.sends = []message{{kind: "OpenRequest", caller: in.nonceCall(e)}}
	case "WriteRequest":
		s.sends = []message{{kind: "WriteRequest", caller: s.call, session: e.Session, key: intent.key, value: intent.value}}
	}
}

func (in *interpreter) nonceCall(e *event.Event) call {
	if c, ok := in.nonces[e.Nonce]; ok {
		return c
	}
	return in.callOf(0)
}

// ofRequest is what a coordinator does with the requests of clients, and with
// acknowledgements.
func (in *interpreter) ofRequest(s *step) {
	e, c := s.Event, s.call
	switch e.Event {
	case "HandleOpenRequest":
		s.receives = &message{kind: "OpenRequest", caller: c}
		s.sends = []message{{kind: "OpenResponse", caller: c, status: e.Status, session: e.Session}}
	case "HandleReadRequest":
		s.receives = &message{kind: "ReadRequest", caller: c, key: e.Key}
		s.sends = []message{{kind: "Read", caller: c, replica: e.To, key: e.Key}}
	case "HandleWriteRequest":
		s.receives = &message{kind: "WriteRequest", caller: c, session: e.Session, key: e.Key, value: e.Value}
		if e.Sends == "WriteResponse" {
			s.sends = []message{{kind: "WriteResponse", caller: c, session: e.Session, status: e.Status}}
		} else if e.Sends == "Write" {
			s.sends = in.writes(e, message{caller: c, session: e.Session, version: event.Version{Epoch: e.Epoch, Seq: seqOf(e)}, key: e.Key, value: e.Value})
		}
	case "HandleWriteAck":
		s.receives = &message{kind: "WriteAck", caller: c, replica: e.Replica, session: e.Session, version: e.Version}
		if e.Sends != "" {
			s.sends = []message{{kind: "WriteResponse", caller: c, session: e.Session, status: e.Status}}
		}
	}
}

// ofGate is what a coordinator does with the reply to a read.
func (in *interpreter) ofGate(s *step) {
	e, c := s.Event, s.call
	s.receives = &message{kind: "ReadReply", caller: c, replica: e.Replica, key: e.Key, hops: e.Hops, version: e.Version, value: e.Value, writer: e.Writer}
	switch e.Sends {
	case "ReadResponse":
		s.sends = []message{{kind: "ReadResponse", caller: c, status: e.Status, key: e.Key, value: e.Value}}
	case "Read":
		s.sends = []message{{kind: "Read", caller: c, replica: e.To, key: e.Key, hops: e.Hops + 1}}
	case "Write":
		s.sends = in.writes(e, message{caller: in.written[e.Version], session: e.Writer, version: e.Version, key: e.Key, value: e.Value})
	}
}

// writes returns the copies of a Write for the targets of the event.
func (in *interpreter) writes(e *event.Event, m message) (all []message) {
	m.kind = "Write"
	for i, id := range in.ids {
		if e.Targets>>i&1 != 0 {
			m.replica = id
			all = append(all, m)
		}
	}
	return all
}

func (in *interpreter) ofReplica(s *step) {
	e, c := s.Event, s.call
	if e.Event == "HandleWrite" {
		s.receives = &message{kind: "Write", caller: c, replica: e.Replica, session: e.Session, version: e.Version, key: e.Key, value: e.Value}
		s.sends = []message{{kind: "WriteAck", caller: c, replica: e.Replica, session: e.Session, version: e.Version}}
		return
	}
	s.receives = &message{kind: "Read", caller: c, replica: e.Replica, key: e.Key, hops: e.Hops}
	s.sends = []message{{kind: "ReadReply", caller: c, replica: e.Replica, key: e.Key, hops: e.Hops, version: e.Version, value: e.Value, writer: e.Writer}}
}
