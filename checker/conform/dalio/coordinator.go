// SPDX-License-Identifier: Apache-2.0

package dalio

import (
	"reflect"

	"dalio/checker/conform/edges"
	"dalio/protocol"
	"dalio/spec/tla"
)

const (
	now       = 1000 // the coordinator's clock, in seconds
	idleAfter = 10
	// committed stands in an entry for the acknowledging set of a committed write.
	committed = 1<<protocol.MaxMembers - 1
)

// unused makes the coordinator of a shard that nobody has used.
func (n *names) unused() *protocol.Coordinator {
	c := &protocol.Coordinator{Self: address(self), Epoch: n.epoch, NextSeq: n.lastGiven(tla.Int(0)),
		Tick: now, SessionTTL: idleAfter, Serving: n.bits(n.serving), Sessions: make([]protocol.SessionEntry, len(n.slots))}
	for i := range n.replicas {
		c.Known[i] = protocol.Member{ID: protocol.ReplicaID(1<<4 | i), Address: replicaAddress(i)}
		c.Members |= 1 << i
	}
	return c
}

// coordinator makes the coordinator of a state.
func (n *names) coordinator(rest tla.Record) *protocol.Coordinator {
	c := n.unused()
	c.NextSeq = n.lastGiven(rest.Get("nextSeq"))
	for i, s := range n.slots {
		c.Sessions[i] = n.entry(tla.Apply(rest.Get("entries"), s).(tla.Record))
	}
	return c
}

func (n *names) entry(r tla.Record) protocol.SessionEntry {
	e := protocol.SessionEntry{Owner: n.sessionID(r.Get("owner")), Nonce: n.nonceID(r.Get("nonce")),
		Request: uint64(r.Get("request").(tla.Int)), Seq: n.seqOf(r.Get("seq")), Acks: n.bits(r.Get("acks"))}
	if r.Get("done") == tla.Bool(true) && e.Seq != 0 {
		e.Acks = committed
	}
	if !n.idle {
		e.Tick = now
	}
	hash := func(key string, value tla.Value) {
		op, text := payload(value)
		e.Op, e.KeyHash, e.Digest = op, protocol.KeyHash([]byte(key)), protocol.Digest([]byte(key), text)
	}
	switch key, ok := r.Get("key").(tla.String); {
	case ok:
		hash(string(key), r.Get("value"))
	case e.Owner != 0:
		contents := n.contents(n.keys[0])
		hash(n.keys[0], contents[len(contents)-1])
	}
	return e
}

// tellCoordinator makes of a coordinator its part of a state.
func (n *names) tellCoordinator(c *protocol.Coordinator, rest tla.Record) tla.Record {
	var entries, minted []tla.Pair
	for i, s := range n.slots {
		e := c.Sessions[i]
		entries = append(entries, tla.Pair{Key: s, Value: n.tellEntry(e)})
		count := 0
		if e.Owner != 0 {
			count = int(e.Owner.Count())
		}
		minted = append(minted, tla.Pair{Key: s, Value: tla.Int(count)})
	}
	nextSeq := tla.Int(c.NextSeq - n.lastGiven(tla.Int(0)))
	rest = rest.With("entries", tla.NewFunction(entries...)).With("minted", tla.NewFunction(minted...)).With("nextSeq", nextSeq)
	again := n.coordinator(rest)
	if got, want := whatMatters(c), whatMatters(again); !reflect.DeepEqual(got, want) {
		edges.Fail("the code's coordinator %+v is not all told: what is would make it %+v", got, want)
	}
	return rest
}

func (n *names) tellEntry(e protocol.SessionEntry) tla.Record {
	key, value := tla.Value(none), tla.Value(none)
	if e.Request != 0 {
		key, value = n.written(e.Op, e.KeyHash, e.Digest)
	}
	acks, done := e.Acks, !e.Pending()
	if e.Acks == committed {
		acks = 1<<len(n.replicas) - 1
	}
	return tla.NewRecord(tla.Field{Name: "owner", Value: n.session(e.Owner)}, tla.Field{Name: "nonce", Value: n.nonce(e.Nonce)},
		tla.Field{Name: "request", Value: tla.Int(e.Request)}, tla.Field{Name: "key", Value: key}, tla.Field{Name: "value", Value: value},
		tla.Field{Name: "seq", Value: n.seq(e.Seq)}, tla.Field{Name: "acks", Value: n.set(acks)},
		tla.Field{Name: "done", Value: tla.Bool(done)}).(tla.Record)
}

// whatMatters is a coordinator without what no rule reads. See the package's
// comment.
func whatMatters(c *protocol.Coordinator) protocol.Coordinator {
	same := *c
	same.Sessions = append([]protocol.SessionEntry(nil), c.Sessions...)
	for i := range same.Sessions {
		e := &same.Sessions[i]
		e.Tick, e.Nonce = 0, e.Nonce>>nonceShift
		if e.Request == 0 {
			e.Op, e.KeyHash, e.Digest = 0, 0, 0
		}
	}
	return same
}
