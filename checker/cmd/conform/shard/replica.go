// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"reflect"

	"dalio/checker/conform/edges"
	"dalio/protocol"
	"dalio/spec/tla"
)

// replica is the replica at a node, with what it holds.
type replica struct {
	protocol.Replica
	store    protocol.MemoryStore
	sessions protocol.SessionTable
}

// emptyReplica makes a replica that has nothing.
func emptyReplica() *replica {
	r := &replica{store: protocol.MemoryStore{}, sessions: protocol.SessionTable{}}
	r.Store, r.Replica.Sessions = r.store, r.sessions
	return r
}

// replicaOf makes the replica at a node.
func (n *names) replicaOf(node tla.Value, messages tla.Set, rest tla.Record) *replica {
	r := at(rest, "nodes", node).(tla.Record)
	made := &replica{store: n.records(r.Get("store")), sessions: n.sessionRecords(r.Get("sessions"), messages)}
	made.Replica = protocol.Replica{ID: n.memberID(r.Get("id")), Epoch: epochOf(r.Get("epoch")), Store: made.store, Sessions: made.sessions,
		Floor: versionOf(r.Get("floor")), Collect: versionOf(r.Get("mark"))}
	made.Fenced = made.ID != 0 && r.Get("open") == tla.Bool(false)
	return made
}

func (n *names) records(store tla.Value) protocol.MemoryStore {
	made := protocol.MemoryStore{}
	for _, k := range n.keys {
		held := tla.Apply(store, tla.String(k)).(tla.Record)
		rec := protocol.Record{Version: versionOf(held.Get("version")), Writer: n.sessionID(held.Get("writer")), Request: uint64(held.Get("request").(tla.Int))}
		if rec.Version == (protocol.Version{}) {
			continue
		}
		rec.Op, rec.Value = payload(held.Get("value"))
		rec.Digest = protocol.Digest([]byte(k), rec.Value)
		made[k] = rec
	}
	return made
}

func (n *names) tellRecords(store protocol.MemoryStore) tla.Value {
	var all []tla.Pair
	for _, k := range n.keys {
		rec := store[k]
		all = append(all, tla.Pair{Key: tla.String(k), Value: fields("version", version(rec.Version), "value", valueOf(rec.Op, rec.Value),
			"writer", n.session(rec.Writer), "request", tla.Int(rec.Request))})
	}
	return tla.NewFunction(all...)
}

// sessionRecords makes session records. What they say of the payload is that of the
// requests in the network.
func (n *names) sessionRecords(sessions tla.Value, messages tla.Set) protocol.SessionTable {
	made := protocol.SessionTable{}
	for i, s := range n.slots {
		r := tla.Apply(sessions, s).(tla.Record)
		rec := protocol.SessionRecord{Session: n.sessionID(r.Get("session")), Request: uint64(r.Get("request").(tla.Int)), Version: versionOf(r.Get("version"))}
		if rec.Session == 0 {
			continue
		}
		e := n.entry(fields("owner", r.Get("session"), "request", r.Get("request"), "key", none, "seq", tla.Int(0), "done", tla.Bool(true)), messages)
		rec.Op, rec.KeyHash, rec.Digest = e.Op, e.KeyHash, e.Digest
		made[i] = rec
	}
	return made
}

func (n *names) tellSessionRecords(table protocol.SessionTable) tla.Value {
	var all []tla.Pair
	for i, s := range n.slots {
		rec := table[i]
		all = append(all, tla.Pair{Key: s, Value: fields("session", n.session(rec.Session), "request", tla.Int(rec.Request), "version", version(rec.Version))})
	}
	return tla.NewFunction(all...)
}

// tellReplica makes of a replica its part of a state. What a catch-up has read is
// not the model's, and stays.
func (n *names) tellReplica(node tla.Value, r *replica, messages tla.Set, rest tla.Record) tla.Record {
	told := at(rest, "nodes", node).(tla.Record).
		With("id", n.member(r.ID)).With("epoch", tla.Int(r.Epoch)).With("open", tla.Bool(r.ID != 0 && !r.Fenced)).
		With("store", n.tellRecords(r.store)).With("sessions", n.tellSessionRecords(r.sessions)).
		With("floor", version(r.Floor)).With("mark", version(r.Collect))
	rest = put(rest, "nodes", node, told)
	got, want := *r, *n.replicaOf(node, messages, rest)
	got.Replica.Store, got.Replica.Sessions, want.Replica.Store, want.Replica.Sessions = nil, nil, nil, nil
	for _, store := range []protocol.MemoryStore{got.store, want.store} {
		for key, rec := range store {
			if len(rec.Value) == 0 {
				rec.Value = nil
				store[key] = rec
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		edges.Fail("the code's replica %+v is not all told: what is would make it %+v", got, want)
	}
	return rest
}
