// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"dalio/protocol"
	"dalio/spec/tla"
)

// client is a client: its session, and what it knows of its last call.
type client struct {
	name    tla.Model
	session protocol.Session
	call    tla.Record
	request uint64
	// begun is who was silent when its read began.
	begun tla.Value
}

// nonce is a client's, and says in which slot an open begins to look.
func (c *client) nonce(slot int) uint64 { return c.request<<8 | uint64(slot) }

// clientOf makes a client, by having it do what it must have done. Its nonce has
// the open look at the slot first.
func (n *names) clientOf(name tla.Model, rest tla.Record, slot int) *client {
	c := &client{name: name, call: at(rest, "calls", name).(tla.Record), request: uint64(at(rest, "requests", name).(tla.Int)),
		begun: at(rest, "begun", name)}
	c.session.ID = n.sessionID(at(rest, "sessions", name))
	if c.is("idle") {
		return c
	}
	c.invoke(slot)
	switch {
	case c.is("ok"):
		answer := protocol.Message{Request: c.request, Session: c.session.ID, Status: protocol.StatusOK, Key: []byte(c.call.Get("key").(tla.String))}
		c.session.HandleReadResponse(answer)
		c.session.HandleWriteResponse(answer)
	case c.is("unknown"):
		c.session.Abandon()
	}
	return c
}

// nobodySilent has nobody silent for each epoch.
func nobodySilent(epochs int) tla.Tuple {
	silent := make(tla.Tuple, epochs)
	for i := range silent {
		silent[i] = tla.NewSet()
	}
	return silent
}

func (c *client) is(status string) bool { return c.call.Get("status") == tla.String(status) }

func (c *client) reads() bool { return c.is("open") && c.call.Get("op") == tla.String("read") }

// invoke has the client begin its call, and returns what it sends.
func (c *client) invoke(slot int) protocol.Message {
	key := []byte(c.call.Get("key").(tla.String))
	if c.call.Get("op") == tla.String("read") {
		return c.session.InvokeRead(c.request, key)
	}
	op, value := payload(c.call.Get("value"))
	return c.session.InvokeWrite(c.request, c.nonce(slot), op, key, value)
}

// over notes what became of the call.
func (c *client) over(r protocol.Result, value tla.Value) {
	status := map[protocol.Result]tla.String{protocol.Done: "ok", protocol.DidNotHappen: "failed", protocol.Unknown: "unknown"}[r]
	if status == "" {
		return
	}
	c.call = c.call.With("status", status)
	if value != nil {
		c.call = c.call.With("value", value)
	}
	c.begun = nobodySilent(len(c.begun.(tla.Tuple)))
}

// written tells the client what became of its write. Told TOO_FEW it gives up, and
// on BUSY it waits: the specification leaves out answers that change nothing.
func (c *client) written(m protocol.Message) {
	r := c.session.HandleWriteResponse(m)
	if r == protocol.Waiting && m.Status == protocol.StatusTooFew && c.is("open") && m.Session == c.session.ID && m.Request == c.request {
		r = c.session.Abandon()
	}
	c.over(r, nil)
}

// tellClient makes of a client its part of a state.
func (n *names) tellClient(c *client, rest tla.Record) tla.Record {
	session := tla.Value(none)
	if c.session.ID != 0 {
		session = n.session(c.session.ID)
	}
	rest = put(rest, "sessions", c.name, session)
	rest = put(rest, "requests", c.name, tla.Int(c.request))
	rest = put(rest, "begun", c.name, c.begun)
	return put(rest, "calls", c.name, c.call)
}
