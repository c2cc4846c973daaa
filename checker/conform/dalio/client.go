// SPDX-License-Identifier: Apache-2.0

package dalio

import (
	"reflect"

	"dalio/checker/conform/edges"
	"dalio/protocol"
	"dalio/spec/tla"
)

// client is a client of the Go model: its session, and what it knows of its last
// call.
type client struct {
	name    tla.String
	session protocol.Session
	call    tla.Record
	request uint64
	nonce   uint64 // of the last call
}

// idle is what there is to know of a client that has not called yet.
var idle = tla.NewRecord(tla.Field{Name: "status", Value: tla.String("idle")}, tla.Field{Name: "op", Value: tla.String("none")},
	tla.Field{Name: "key", Value: none}, tla.Field{Name: "value", Value: none}).(tla.Record)

// clientOf makes a client of a state, by having it do what it must have done.
func (n *names) clientOf(name string, rest tla.Record) *client {
	at := func(variable string) tla.Value { return tla.Apply(rest.Get(variable), tla.String(name)) }
	c := &client{name: tla.String(name), call: at("calls").(tla.Record), request: uint64(at("requests").(tla.Int))}
	id := n.sessionID(at("sessions"))
	c.session.ID = id
	c.nonce = n.nonceID(tla.NewTuple(c.name, tla.Int(c.request)))
	status := c.call.Get("status")
	if status == tla.String("idle") {
		return c
	}
	c.invoke(c.call)
	switch status {
	case tla.String("ok"):
		answer := protocol.Message{Request: c.request, Session: id, Status: protocol.StatusOK, Key: []byte(c.call.Get("key").(tla.String))}
		c.session.HandleReadResponse(answer)
		c.session.HandleWriteResponse(answer)
	case tla.String("failed"), tla.String("unknown"):
		c.session.Abandon()
	}
	return c
}

// invoke has the client begin a call and returns what it sends.
func (c *client) invoke(call tla.Record) protocol.Message {
	key := []byte(call.Get("key").(tla.String))
	if call.Get("op") == tla.String("read") {
		return c.session.InvokeRead(c.request, key)
	}
	op, value := payload(call.Get("value"))
	return c.session.InvokeWrite(c.request, c.nonce, op, key, value)
}

func (c *client) is(status string) bool { return c.call.Get("status") == tla.String(status) }

// over notes what became of the call.
func (c *client) over(r protocol.Result, value tla.Value) {
	switch r {
	case protocol.Done:
		c.call = c.call.With("status", tla.String("ok"))
		if value != nil {
			c.call = c.call.With("value", value)
		}
	case protocol.DidNotHappen:
		c.call = c.call.With("status", tla.String("failed"))
	case protocol.Unknown:
		c.call = c.call.With("status", tla.String("unknown"))
	}
}

// tellClient makes of a client its part of a state.
func (n *names) tellClient(c *client, rest tla.Record) tla.Record {
	set := func(variable string, v tla.Value) {
		rest = rest.With(variable, tla.Except(rest.Get(variable), c.name, v))
	}
	set("sessions", n.session(c.session.ID))
	set("requests", tla.Int(c.request))
	set("calls", c.call)
	if again := n.clientOf(string(c.name), rest); !sameSession(c.session, again.session, c.is("open")) {
		edges.Fail("the code's session %+v is not all told: what is would make it %+v", c.session, again.session)
	}
	return rest
}

// sameSession says whether two sessions do the same from now on, but for the
// number of an attempt.
func sameSession(s, t protocol.Session, open bool) bool {
	if s.ID != t.ID || s.Closed != t.Closed {
		return false
	}
	next := func(s protocol.Session) protocol.Message { // s is a copy.
		const request, nonce = 1 << 40, 1 << 40
		switch {
		case open:
			m := s.Retry(nonce)
			m.Attempt = 0
			return m
		case s.Closed:
			return protocol.Message{}
		}
		return s.InvokeWrite(request, nonce, protocol.OpPut, []byte("k"), []byte("v"))
	}
	return reflect.DeepEqual(next(s), next(t))
}

// answer gives the client an answer and returns what it sends. Told that it is
// refused, a client gives up; what the specification's does is the same.
func (t *turn) answer(n *names, c *client, m protocol.Message) (next protocol.Message, send bool) {
	mine := c.is("open")
	switch m.Type {
	case protocol.OpenResponse:
		mine = mine && c.session.ID == 0 && c.call.Get("op") == tla.String("write") && m.Request == c.nonce
		if next, send = c.session.HandleOpenResponse(m); send {
			return next, true
		}
	case protocol.WriteResponse:
		mine = mine && m.Session == c.session.ID && m.Request == c.request && c.call.Get("op") == tla.String("write")
		if r := t.Session(&c.session, m); r != protocol.Waiting {
			c.over(r, nil)
			return next, false
		}
	case protocol.ReadResponse:
		mine = mine && m.Request == c.request && c.call.Get("op") == tla.String("read")
		if c.session.HandleReadResponse(m) {
			c.over(protocol.Done, valueOf(m.Op, m.Value))
			return next, false
		}
	}
	if mine && m.Status != protocol.StatusOK {
		c.over(c.session.Abandon(), nil)
	}
	return next, false
}
