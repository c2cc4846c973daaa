// SPDX-License-Identifier: Apache-2.0

package dalio

import (
	"math/bits"

	"dalio/checker/conform/edges"
	"dalio/protocol"
	"dalio/spec/cfg"
	"dalio/spec/tla"
)

// Machine takes the steps of one configuration of Dalio.tla with the Go model.
type Machine struct {
	constants *constants
	choices   []choice
	// What the code does with a message. Only Altered puts anything else here.
	Coordinator func(*protocol.Coordinator, protocol.Message, protocol.Address) protocol.Output
	Replica     func(*protocol.Replica, protocol.Message) (protocol.Message, protocol.Refusal)
	Session     func(*protocol.Session, protocol.Message) protocol.Result
}

// New returns the machine of a configuration, where calls has what clients may do,
// by client and number.
func New(c cfg.Config, calls tla.Value) (*Machine, error) {
	k, err := readConstants(c, calls)
	if err != nil {
		return nil, err
	}
	m := &Machine{constants: k, Coordinator: handle, Replica: (*protocol.Replica).Handle, Session: (*protocol.Session).HandleWriteResponse}
	// The order matters to whom a gated read asks, and only if there are several.
	tla.Orders(k.replicas, func(order []tla.Model) {
		if len(k.replicas) > 2 || len(m.choices) == 0 {
			m.choices = append(m.choices, choice{order: order})
		}
	})
	return m, nil
}

// handle is what the coordinator does with a message.
func handle(c *protocol.Coordinator, m protocol.Message, from protocol.Address) protocol.Output {
	switch m.Type {
	case protocol.OpenRequest:
		return c.HandleOpenRequest(m, from)
	case protocol.WriteRequest:
		return c.HandleWriteRequest(m, from)
	case protocol.WriteAck:
		return c.HandleWriteAck(m, from)
	case protocol.ReadRequest:
		return c.HandleReadRequest(m, from)
	}
	return c.HandleReadReply(m, from)
}

// Symmetries returns the sets of model values that may be exchanged.
func (m *Machine) Symmetries() [][]tla.Model { return m.constants.symmetries }

// External says whether an action is the network's.
func (m *Machine) External(action string) bool { return action == "Lose" }

// Initial returns the state of a shard that nobody has used.
func (m *Machine) Initial() (s edges.State, err error) {
	defer edges.Failed(&err)
	n := &names{m.constants, m.choices[0]}
	each := func(of []tla.Model, value tla.Value) tla.Value {
		var pairs []tla.Pair
		for _, v := range of {
			pairs = append(pairs, tla.Pair{Key: v, Value: value})
		}
		return tla.NewFunction(pairs...)
	}
	var sessions []tla.Pair
	for _, c := range n.clients {
		sessions = append(sessions, tla.Pair{Key: tla.String(c), Value: none})
	}
	rest := tla.NewRecord(tla.Field{Name: "losses", Value: tla.Int(n.losses)},
		tla.Field{Name: "store", Value: each(n.replicas, none)}, tla.Field{Name: "collect", Value: each(n.replicas, none)},
		tla.Field{Name: "sessions", Value: tla.NewFunction(sessions...)}, tla.Field{Name: "requests", Value: tla.NewFunction(sessions...)},
		tla.Field{Name: "calls", Value: tla.NewFunction(sessions...)}).(tla.Record)
	for _, c := range n.clients {
		rest = n.tellClient(&client{name: tla.String(c), call: idle}, rest)
	}
	for _, r := range n.replicas {
		store := protocol.MemoryStore{}
		rest = n.tellReplica(r, &protocol.Replica{ID: n.replicaID(r), Epoch: n.epoch, Store: store}, store, rest)
	}
	return edges.State{Rest: n.tellCoordinator(n.unused(), rest)}, nil
}

// turn is the taking of all steps from one state.
type turn struct {
	*Machine
	from  edges.State
	steps []edges.Step
}

// Successors returns every step of the Go model from a state.
func (m *Machine) Successors(from edges.State) (steps []edges.Step, err error) {
	defer edges.Failed(&err)
	t := &turn{Machine: m, from: from}
	n := &names{m.constants, m.choices[0]}
	n.expectTold(from)
	for _, c := range n.clients {
		t.clientSteps(n, c)
	}
	for _, message := range from.Messages {
		t.deliver(message.(tla.Record))
	}
	if n.collects {
		for _, r := range n.replicas {
			for seq := tla.Int(1); uint64(seq) <= n.lastSeq; seq++ {
				t.collect(n, r, seq)
			}
		}
	}
	return t.steps, nil
}

// expectTold fails if a state is not told again as it is: then something of it
// would have no counterpart in the Go model.
func (n *names) expectTold(s edges.State) {
	rest := n.tellCoordinator(n.coordinator(s.Rest), s.Rest)
	for _, r := range n.replicas {
		replica, store := n.replicaOf(r, s.Rest)
		rest = n.tellReplica(r, replica, store, rest)
	}
	for _, c := range n.clients {
		rest = n.tellClient(n.clientOf(c, s.Rest), rest)
	}
	if d := tla.Diff(rest, s.Rest); len(d) > 0 {
		edges.Fail("a state of the specification has no counterpart: told again, %v", d)
	}
	for _, m := range s.Messages {
		r := m.(tla.Record)
		message, peer := n.message(r)
		if again := n.told(message, peer); !tla.Equal(again, r) {
			edges.Fail("a message of the specification has no counterpart: told again, %v", tla.Diff(again, r))
		}
	}
}

// add notes a step: after a message was received, unless it is nil, others are sent.
func (t *turn) add(received tla.Value, sent tla.Set, rest tla.Record, act ...tla.Value) {
	to := edges.State{Messages: t.from.Messages, Rest: rest}
	if received != nil && t.constants.once(string(received.(tla.Record).Get("type").(tla.String))) {
		to.Messages = without(to.Messages, received)
	}
	to.Messages = to.Messages.Union(sent)
	t.steps = append(t.steps, edges.Step{Act: tla.Tuple(act), To: to})
}

func without(s tla.Set, v tla.Value) tla.Set {
	var left tla.Set
	for _, e := range s {
		if !tla.Equal(e, v) {
			left = append(left, e)
		}
	}
	return left
}

// clientSteps are what a client does by itself.
func (t *turn) clientSteps(n *names, name string) {
	rest := t.from.Rest
	c := n.clientOf(name, rest)
	if c.is("open") {
		if !t.waited(c) {
			t.add(nil, tla.NewSet(n.told(c.session.Retry(c.nonce), n.clientAddress(c.name))), n.tellClient(c, rest), tla.String("Retry"), c.name)
		}
		if n.quitters.Has(c.name) {
			c = n.clientOf(name, rest)
			c.over(c.session.Abandon(), nil)
			t.add(nil, nil, n.tellClient(c, rest), tla.String("Abandon"), c.name)
		}
		return
	}
	if c.session.Closed {
		return
	}
	calls := tla.Apply(tla.Apply(n.calls, c.name), tla.Int(c.request+1))
	if calls == nil {
		return
	}
	for _, call := range calls.(tla.Set) {
		c := n.clientOf(name, rest)
		c.request++
		c.nonce = n.nonceID(tla.NewTuple(c.name, tla.Int(c.request)))
		c.call = call.(tla.Record).With("status", tla.String("open"))
		sent := tla.NewSet(n.told(c.invoke(c.call), n.clientAddress(c.name)))
		act := []tla.Value{tla.String("InvokeWrite"), c.name, c.call.Get("key"), c.call.Get("value")}
		if c.call.Get("op") == tla.String("read") {
			act = []tla.Value{tla.String("InvokeRead"), c.name, c.call.Get("key")}
		}
		t.add(nil, sent, n.tellClient(c, rest), act...)
	}
}

// waited says whether something that is received only once is still on its way for
// the client, which outwaits that.
func (t *turn) waited(c *client) bool {
	for _, m := range t.from.Messages {
		if r := m.(tla.Record); r.Get("client") == c.name && t.constants.once(string(r.Get("type").(tla.String))) {
			return true
		}
	}
	return false
}

// deliver lets a message arrive wherever it may, or be lost.
func (t *turn) deliver(r tla.Record) {
	rest, n := t.from.Rest, &names{t.constants, t.choices[0]}
	kind := typeNames[string(r.Get("type").(tla.String))]
	if losses := rest.Get("losses").(tla.Int); losses > 0 && n.once(kind.String()) {
		t.steps = append(t.steps, edges.Step{Act: tla.NewTuple(tla.String("Lose"), r),
			To: edges.State{Messages: without(t.from.Messages, r), Rest: rest.With("losses", losses-1)}})
	}
	action := tla.String("Handle" + kind.String())
	switch kind {
	case protocol.OpenResponse, protocol.WriteResponse, protocol.ReadResponse:
		c := n.clientOf(string(r.Get("client").(tla.String)), rest)
		m, _ := n.message(r)
		var sent tla.Set
		if next, send := t.answer(n, c, m); send {
			sent = tla.NewSet(n.told(next, n.clientAddress(c.name)))
		}
		t.add(r, sent, n.tellClient(c, rest), action, c.name, r)
	case protocol.Write, protocol.Read:
		for _, replica := range n.replicas {
			m, _ := n.message(r)
			model, store := n.replicaOf(replica, rest)
			if answer, refused := t.Replica(model, m); refused == protocol.NotRefused {
				t.add(r, tla.NewSet(n.told(answer, protocol.Address{})), n.tellReplica(replica, model, store, rest), action, replica, r)
			}
		}
	default:
		for _, chosen := range t.choicesFor(kind) {
			t.coordinate(&names{t.constants, chosen}, r, action)
		}
	}
}

// choicesFor returns what is open where the coordinator receives a message.
func (t *turn) choicesFor(kind protocol.MessageType) (all []choice) {
	first := t.choices[0]
	switch kind {
	case protocol.OpenRequest:
		for slot := range t.constants.slots {
			all = append(all, choice{slot: slot, idle: true, order: first.order}, choice{slot: slot, order: first.order})
		}
	case protocol.ReadRequest:
		for attempt := range max(1, len(t.constants.serving)) {
			all = append(all, choice{attempt: uint8(attempt), order: first.order})
		}
	case protocol.ReadReply:
		all = t.choices
	default:
		all = t.choices[:1]
	}
	return all
}

// coordinate lets the coordinator receive a message.
func (t *turn) coordinate(n *names, r tla.Record, action tla.String) {
	rest := t.from.Rest
	c := n.coordinator(rest)
	m, from := n.message(r)
	out := t.Coordinator(c, m, from)
	for _, e := range c.Sessions {
		if int(e.Owner.Count()) > n.lastCount {
			return // Beyond the bounds of the model.
		}
	}
	var sent []tla.Value
	switch {
	case out.Message == nil:
	case out.Targets != 0:
		for set := out.Targets; set != 0; set &= set - 1 {
			one := *out.Message
			one.Replica = c.Known[bits.TrailingZeros16(set)].ID
			sent = append(sent, n.told(one, protocol.Address{}))
		}
	default:
		if out.Message.Type == protocol.Read && out.To != replicaAddress(out.Message.Replica.Index()) {
			edges.Fail("a read for replica %d is sent to %v", out.Message.Replica, out.To)
		}
		sent = append(sent, n.told(*out.Message, out.To))
	}
	t.add(r, tla.NewSet(sent...), n.tellCoordinator(c, rest), action, r)
}

// collect has a replica told that all is settled up to a version, if it is, and
// collect its tombstones.
func (t *turn) collect(n *names, r tla.Model, seq tla.Int) {
	rest := t.from.Rest
	c := n.coordinator(rest)
	settled := c.NextSeq
	for _, e := range c.Sessions {
		if e.Pending() {
			settled = min(settled, e.Seq-1)
		}
	}
	mark := protocol.Version{Epoch: n.epoch, Seq: n.seqOf(seq)}
	if mark.Seq > settled {
		return
	}
	replica, store := n.replicaOf(r, rest)
	if replica.Settle(n.epoch, mark, mark) {
		store.Collect(replica.Collect)
	}
	t.add(nil, nil, n.tellReplica(r, replica, store, rest), tla.String("CollectTombstones"), r, seq)
}
