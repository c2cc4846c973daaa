// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"reflect"
	"slices"

	"dalio/checker/conform/edges"
	"dalio/protocol"
	"dalio/spec/tla"
)

const (
	now       = 1000 // the clock, in seconds and nanoseconds
	lease     = 100
	idleAfter = 10
	committed = 1<<protocol.MaxMembers - 1 // in place of an acknowledging set
)

// closedKernel makes a data plane in which no epoch is open.
func (n *names) closedKernel() *protocol.Coordinator {
	return &protocol.Coordinator{Self: address(1), Tick: now, SessionTTL: idleAfter, MinMembers: n.numbers["MinMembers"],
		Sessions: make([]protocol.SessionEntry, len(n.slots))}
}

// coordinator makes the data plane of coordinator x. Entries without a pending
// write may be reclaimed if idle is set.
func (n *names) coordinator(x tla.Model, messages tla.Set, rest tla.Record, idle bool) *protocol.Coordinator {
	k := at(rest, "kernel", x).(tla.Record)
	c := &protocol.Coordinator{Self: address(1), Epoch: epochOf(k.Get("epoch")), NextSeq: uint64(k.Get("seq").(tla.Int)),
		Tick: now, SessionTTL: idleAfter, Members: n.bits(k.Get("mask")), Serving: n.bits(k.Get("serving")),
		MinMembers: n.numbers["MinMembers"], Now: now, Lease: lease, Sessions: make([]protocol.SessionEntry, len(n.slots))}
	for _, id := range k.Get("mask").(tla.Set) {
		i := n.memberID(id).Index()
		c.Known[i] = protocol.Member{ID: n.memberID(id), Address: nodeAddress(i)}
		c.Answered[i] = now
		for e, silent := range rest.Get("silent").(tla.Tuple) {
			if protocol.Epoch(e+1) > c.Epoch && silent.(tla.Set).Has(id) {
				c.Answered[i] = now - lease - 1
			}
		}
	}
	for _, begun := range tla.Pairs(rest.Get("begun")) {
		if held(c.Epoch, k.Get("mask").(tla.Set), begun.Value) {
			c.Held = max(c.Held, n.sent(begun.Value)+1)
		}
	}
	for i, s := range n.slots {
		c.Sessions[i] = n.entry(tla.Apply(k.Get("entries"), s).(tla.Record), messages)
		if !idle {
			c.Sessions[i].Tick = now
		}
	}
	return c
}

// sent is when a read was sent to a replica, by who was silent when it began: that only
// ever becomes more.
func (n *names) sent(begun tla.Value) (at uint64) {
	for _, silent := range begun.(tla.Tuple) {
		at += uint64(len(silent.(tla.Set)))
	}
	return at
}

// held says whether the lease of an epoch held while these were silent. The coordinator
// is one that looked then.
func held(epoch protocol.Epoch, mask tla.Set, begun tla.Value) bool {
	for e, silent := range begun.(tla.Tuple) {
		if protocol.Epoch(e+1) > epoch && slices.ContainsFunc(mask, silent.(tla.Set).Has) {
			return false
		}
	}
	return true
}

// entry makes an entry. Its payload is that of the request, which is still in the
// network. The acknowledgements of a pending write are counted when it is committed.
func (n *names) entry(r tla.Record, messages tla.Set) protocol.SessionEntry {
	e := protocol.SessionEntry{Owner: n.sessionID(r.Get("owner")), Request: uint64(r.Get("request").(tla.Int)), Seq: uint64(r.Get("seq").(tla.Int))}
	if e.Seq != 0 && r.Get("done") == tla.Bool(true) {
		e.Acks = committed
	}
	if key, ok := r.Get("key").(tla.String); ok {
		e.KeyHash = protocol.KeyHash([]byte(key))
	}
	if e.Request == 0 {
		return e
	}
	for _, m := range messages {
		if kind(m) != "WriteRequest" {
			continue
		}
		if request := n.message(m.(tla.Record)); request.Session == e.Owner && request.Request == e.Request {
			e.Op, e.KeyHash, e.Digest = request.Op, request.KeyHash, request.Digest
			return e
		}
	}
	edges.Fail("nobody has sent request %d of session %v", e.Request, e.Owner)
	return e
}

// tellCoordinator makes of a data plane its part of a state. Entries whose
// acknowledging set is not complete are told as pending.
func (n *names) tellCoordinator(x tla.Model, c *protocol.Coordinator, messages tla.Set, rest tla.Record) tla.Record {
	var entries, counts []tla.Pair
	for i, s := range n.slots {
		e := c.Sessions[i]
		key := tla.Value(none)
		if e.Seq != 0 {
			key = n.keyOf(e.KeyHash)
		}
		entries = append(entries, tla.Pair{Key: s, Value: fields("owner", n.session(e.Owner), "request", tla.Int(e.Request), "key", key,
			"seq", tla.Int(e.Seq), "members", tla.NewSet(), "done", tla.Bool(!e.Pending()))})
		count := 0
		if e.Owner.Epoch() == c.Epoch && c.Epoch != 0 {
			count = int(e.Owner.Count())
		}
		counts = append(counts, tla.Pair{Key: s, Value: tla.Int(count)})
	}
	k := fields("epoch", tla.Int(c.Epoch), "mask", n.knownSet(c, c.Members), "serving", n.knownSet(c, c.Serving), "lagging", tla.NewSet(),
		"seq", tla.Int(c.NextSeq), "entries", tla.NewFunction(entries...), "counts", tla.NewFunction(counts...))
	rest = put(rest, "kernel", x, k)
	if got, want := whatMatters(c), whatMatters(n.coordinator(x, messages, rest, true)); !reflect.DeepEqual(got, want) {
		edges.Fail("the code's coordinator %+v is not all told: what is would make it %+v", got, want)
	}
	return rest
}

func (n *names) knownSet(c *protocol.Coordinator, set uint16) tla.Set {
	var all []tla.Value
	for i := range protocol.MaxMembers {
		if set>>i&1 != 0 {
			all = append(all, n.member(c.Known[i].ID))
		}
	}
	return tla.NewSet(all...)
}

// whatMatters leaves out of a coordinator what the specification leaves out: clocks,
// nonces, partial acknowledging sets, the version of what was recovered, and, of an
// owner that has not written, what it did.
func whatMatters(c *protocol.Coordinator) protocol.Coordinator {
	same := *c
	same.Sessions = append([]protocol.SessionEntry(nil), c.Sessions...)
	same.Answered, same.Held, same.Now, same.Lease = [protocol.MaxMembers]uint64{}, 0, 0, 0
	for i := range same.Sessions {
		e := &same.Sessions[i]
		e.Tick, e.Nonce, e.Settled = 0, 0, protocol.Version{}
		if e.Pending() {
			e.Acks = 0
		}
		if e.Request == 0 {
			e.Op, e.Digest = 0, 0
		}
		if e.Seq == 0 && e.Request == 0 {
			e.KeyHash = 0
		}
	}
	for i := range same.Known {
		if same.Members>>i&1 == 0 {
			same.Known[i] = protocol.Member{}
		}
	}
	return same
}
