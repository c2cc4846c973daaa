// SPDX-License-Identifier: Apache-2.0

package main

import (
	"dalio/traces/event"
)

// message is one message of the specification. Two that are equal are the same one
// there: a copy, or the same sent again.
type message struct {
	kind    string
	caller  call // who the answer goes to, and its request
	replica uint32
	session event.Session
	key     event.Hash // also of a ReadResponse, whose value is one of the key's
	hops    uint8
	version event.Version
	value   string
	writer  event.Session
	status  string
}

// call is one request of a client: the nth that it makes. The zero call is nobody's,
// one with client 0 is of nobody who waits for an answer.
type call struct {
	client  int
	request int
}

// step is what an event means in the specification.
type step struct {
	*event.Event
	line int // in the merged trace, from 1 on
	call call
	// key is that of the call.
	key event.Hash
	// action is the event's, or ignored.
	action   string
	receives *message
	sends    []message
}

// ignored is a step that is none: a message was dropped, as if it had been lost.
const ignored = "Ignored"

// protocolDrops are the drops that the specification has steps for.
var protocolDrops = map[string]bool{"": true, "acknowledged": true, "unclaimed": true, "late_ack": true, "stale_ack": true,
	"stale_request": true, "unknown_version": true}

// nobody is the call of a message that nobody waits for an answer to.
func nobody(c call) call { return call{request: c.request} }

// interpreter turns events into steps. It looks at all of them first.
type interpreter struct {
	epoch uint32
	// ids has the id of each replica index.
	ids              [16]uint32
	members, serving uint16
	clients          int
	// lanes has the client that each lane is now, and calls what each request id and
	// nonce stands for.
	lanes     map[string]*lane
	requests  map[uint64]*intent
	nonces    map[uint64]call
	addresses map[int]string
	// written has the request of each version.
	written map[event.Version]call
	unknown int
	// tellers has the replica that each teller is.
	tellers map[string]uint32
}

// lane is a client of the specification: a lane of a real one, until it needs a new
// session.
type lane struct {
	client  int
	count   int
	session event.Session
	closed  bool
	now     *intent
}

// intent is what a client wants.
type intent struct {
	call
	write bool
	key   event.Hash
	value string
}

func newInterpreter() *interpreter {
	return &interpreter{lanes: map[string]*lane{}, requests: map[uint64]*intent{}, nonces: map[uint64]call{},
		addresses: map[int]string{}, written: map[event.Version]call{}, tellers: map[string]uint32{}}
}

// survey finds out who the clients are, and which replicas there are. Events of one
// teller must be in order.
func (in *interpreter) survey(events []*event.Event) {
	for _, e := range events {
		if e.Replica != 0 {
			in.ids[e.Replica%16] = e.Replica
		}
		if e.Members != 0 && in.epoch == 0 {
			in.epoch, in.members, in.serving = e.Epoch, e.Members, e.Serving
		}
		if e.Lane != "" {
			in.surveyLane(e)
		}
	}
	for _, e := range events {
		if e.Event == "HandleWriteRequest" && e.Sends == "Write" {
			in.written[event.Version{Epoch: e.Epoch, Seq: seqOf(e)}] = nobody(in.callOf(e.Request))
		}
	}
}

func seqOf(e *event.Event) uint64 {
	if e.Slot == nil {
		return 0
	}
	return e.Slot.Seq
}

func (in *interpreter) surveyLane(e *event.Event) {
	l := in.lanes[e.Lane]
	invokes := e.Event == "InvokeRead" || e.Event == "InvokeWrite"
	if invokes && (l == nil || l.closed || l.session != 0 && e.Event == "InvokeWrite" && e.Session == 0) {
		in.clients++
		l = &lane{client: in.clients}
		in.lanes[e.Lane] = l
	}
	if l == nil {
		return // It begins in the middle: its calls stay unknown.
	}
	switch e.Event {
	case "InvokeRead", "InvokeWrite":
		l.count++
		l.now = &intent{call{l.client, l.count}, e.Event == "InvokeWrite", e.Key, e.Value}
		in.requests[e.Request] = l.now
	case "HandleOpenResponse":
		l.session = e.Session
	case "HandleWriteResponse":
		l.closed = e.Status != "OK"
	case "Abandon":
		l.closed = l.now != nil && l.now.write && l.session != 0
	}
	if e.Sends == "OpenRequest" && l.now != nil {
		in.nonces[e.Nonce] = l.now.call
	}
}

// callOf returns the call with the request id, or one that nobody has made.
func (in *interpreter) callOf(request uint64) call {
	if i := in.requests[request]; i != nil {
		return i.call
	}
	in.unknown++
	return call{in.clients + in.unknown, 0}
}

// caller returns the call that a message is for. Its address must be the one that
// the client had before.
func (in *interpreter) caller(e *event.Event) call {
	var c call
	if e.Nonce != 0 {
		known, ok := in.nonces[e.Nonce]
		if c = known; !ok {
			c = in.callOf(0)
		}
	} else {
		c = in.callOf(e.Request)
	}
	switch at := in.addresses[c.client]; {
	case e.Client == "":
		return nobody(c)
	case at == "":
		in.addresses[c.client] = e.Client
	case at != e.Client:
		return in.callOf(0)
	}
	return c
}
