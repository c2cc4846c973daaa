// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"math/bits"

	"dalio/checker/conform/edges"
	"dalio/protocol"
	"dalio/spec/tla"
)

// invoke has a client begin a call. A write is sent, if the client has a session.
func (t *turn) invoke(name tla.Model) {
	c := t.clientOf(name, t.from.Rest, 0)
	if c.is("open") || c.session.Closed {
		return
	}
	calls := tla.Apply(tla.Apply(t.calls, name), tla.Int(c.request+1))
	if calls == nil {
		return
	}
	for _, call := range calls.(tla.Set) {
		c := t.clientOf(name, t.from.Rest, 0)
		c.request++
		c.call = call.(tla.Record).With("status", tla.String("open"))
		var sent []tla.Value
		if m := c.invoke(0); m.Type == protocol.WriteRequest {
			sent = append(sent, t.told(m, name))
		}
		act, arguments := "InvokeWrite", []tla.Value{name, c.call.Get("key"), c.call.Get("value")}
		if c.reads() {
			act, arguments = "InvokeRead", arguments[:2]
			c.begun = t.from.Rest.Get("silent")
		}
		t.add(t.tellClient(c, t.from.Rest), sent, act, arguments...)
	}
}

// dataSteps are those of the data plane of coordinator x.
func (t *turn) dataSteps(x tla.Model) {
	if at(t.from.Rest, "kernel", x).(tla.Record).Get("epoch") == tla.Int(0) {
		return // Closed: every message is dropped before it is handled.
	}
	for _, c := range t.clients {
		t.open(x, c)
		t.readReply(x, c)
	}
	for _, m := range t.from.Messages {
		if kind(m) == "WriteRequest" {
			t.writeRequest(x, m.(tla.Record))
		}
	}
	for slot := range t.slots {
		t.acknowledge(x, slot)
	}
}

// open has a client that wants to write ask for a session, and get it at once.
func (t *turn) open(x, name tla.Model) {
	for slot := range t.slots {
		c := t.clientOf(name, t.from.Rest, slot)
		if !c.is("open") || c.reads() || c.session.ID != 0 {
			return
		}
		kernel := t.kernel(x)
		out := kernel.HandleOpenRequest(c.session.Retry(0), t.clientAddress(name))
		next, send := c.session.HandleOpenResponse(*out.Message)
		if !send || int(next.Session.Count()) > t.numbers["LastCount"] {
			continue // Busy, or beyond the bounds of the model.
		}
		sent := []tla.Value{t.told(next, name)}
		rest := t.tellClient(c, t.tellCoordinator(x, kernel, t.from.Messages.Union(tla.Set(sent)), t.from.Rest))
		t.add(rest, sent, "HandleOpenRequest", x, name, t.slots[next.Session.Slot()])
	}
}

// writeRequest has a request for a write arrive, and its answer, if there is one.
func (t *turn) writeRequest(x tla.Model, r tla.Record) {
	name := r.Get("client").(tla.Model)
	kernel := t.kernel(x)
	out := kernel.HandleWriteRequest(t.message(r), t.clientAddress(name))
	if int(kernel.NextSeq) > t.numbers["LastSeq"] {
		return // Beyond the bounds of the model.
	}
	rest := t.from.Rest
	var sent []tla.Value
	switch m := out.Message; {
	case m == nil:
	case out.Targets != 0:
		for set := out.Targets; set != 0; set &= set - 1 {
			one := *m
			one.Replica = kernel.Known[bits.TrailingZeros16(set)].ID
			sent = append(sent, t.told(one, nil))
		}
	default:
		c := t.clientOf(name, rest, 0)
		c.written(*m)
		rest = t.tellClient(c, rest)
	}
	t.add(t.tellCoordinator(x, kernel, t.from.Messages, rest), sent, "HandleWriteRequest", x, r)
}

// acknowledge has all acknowledgements for a slot arrive that are in the network.
// It is a step when the last one that is needed is there.
func (t *turn) acknowledge(x tla.Model, slot int) {
	kernel := t.kernel(x)
	if !kernel.Sessions[slot].Pending() {
		return
	}
	for _, r := range t.from.Messages {
		if m := t.message(r.(tla.Record)); m.Type == protocol.WriteAck && m.Writer.Slot() == slot {
			kernel.HandleWriteAck(m, nodeAddress(m.Replica.Index()))
		}
	}
	t.add(t.tellCoordinator(x, kernel, t.from.Messages, t.from.Rest), nil, "HandleWriteAck", x, t.slots[slot])
}

// readReply has the reply to a client's read arrive at the coordinator. If it is
// not released nothing changes: what becomes of it then is left to Dalio.tla.
func (t *turn) readReply(x, name tla.Model) {
	reply, ok := at(t.from.Rest, "replies", name).(tla.Record)
	if !ok {
		return
	}
	c := t.clientOf(name, t.from.Rest, 0)
	m := t.reply(reply, c)
	kernel := t.kernel(x)
	out := kernel.HandleReadReply(m, nodeAddress(m.Replica.Index()))
	if out.Message == nil || out.Message.Type != protocol.ReadResponse {
		return
	}
	if !c.session.HandleReadResponse(*out.Message) {
		edges.Fail("the client does not take %+v for its answer", *out.Message)
	}
	c.over(protocol.Done, valueOf(out.Message.Op, out.Message.Value))
	rest := t.tellCoordinator(x, kernel, t.from.Messages, put(t.from.Rest, "replies", name, none))
	t.add(t.tellClient(c, rest), nil, "HandleReadReply", x, name)
}

// replicaSteps are those of the replica at a node.
func (t *turn) replicaSteps(node tla.Model) {
	for _, m := range t.from.Messages {
		if kind(m) != "Write" {
			continue
		}
		r := t.replica(node)
		if answer, refused := r.Handle(t.message(m.(tla.Record))); refused == protocol.NotRefused {
			t.add(t.tellReplica(node, r, t.from.Messages, t.from.Rest), []tla.Value{t.told(answer, nil)}, "HandleWrite", node, m)
		}
	}
	for _, c := range t.clients {
		t.read(node, c)
	}
	t.catchUp(node)
}

// read has a client's read reach the node, by way of any coordinator that forwards
// it there.
func (t *turn) read(node, name tla.Model) {
	c := t.clientOf(name, t.from.Rest, 0)
	if !c.reads() || at(t.from.Rest, "replies", name) != none {
		return
	}
	for _, x := range t.coordinators {
		kernel := t.kernel(x)
		if kernel.Epoch == 0 {
			continue
		}
		for attempt := range uint8(bits.OnesCount16(kernel.Serving)) {
			m := c.session.Retry(0)
			m.Attempt = attempt
			out := kernel.HandleReadRequest(m, t.clientAddress(name))
			if out.Message == nil || out.Message.Type != protocol.Read || out.To != nodeAddress(index(t.nodes, node)) {
				continue
			}
			r := t.replica(node)
			if answer, refused := r.Handle(*out.Message); refused == protocol.NotRefused {
				t.add(put(t.from.Rest, "replies", name, t.tellReply(answer)), nil, "HandleRead", node, name)
			}
		}
	}
}
