// SPDX-License-Identifier: Apache-2.0

package dalio

import (
	"reflect"

	"dalio/checker/conform/edges"
	"dalio/protocol"
	"dalio/spec/tla"
)

// replicaOf makes the replica r of a state.
func (n *names) replicaOf(r tla.Model, rest tla.Record) (*protocol.Replica, protocol.MemoryStore) {
	store := protocol.MemoryStore{}
	for _, k := range n.keys {
		held := tla.Apply(tla.Apply(rest.Get("store"), r), tla.String(k)).(tla.Record)
		rec := protocol.Record{Version: n.versionOf(held.Get("version")), Writer: n.sessionID(held.Get("writer"))}
		if rec.Version == (protocol.Version{}) {
			continue
		}
		rec.Op, rec.Value = payload(held.Get("value"))
		rec.Digest = protocol.Digest([]byte(k), rec.Value)
		store[k] = rec
	}
	return &protocol.Replica{ID: n.replicaID(r), Epoch: n.epoch, Store: store, Sessions: protocol.SessionTable{},
		Collect: n.versionOf(tla.Apply(rest.Get("collect"), r))}, store
}

// tellReplica makes of a replica its part of a state.
func (n *names) tellReplica(r tla.Model, replica *protocol.Replica, store protocol.MemoryStore, rest tla.Record) tla.Record {
	var held []tla.Pair
	for _, k := range n.keys {
		rec, ok := store[k]
		if ok == (rec.Version == protocol.Version{}) {
			edges.Fail("a record of %q without a version", k)
		}
		held = append(held, tla.Pair{Key: tla.String(k), Value: tla.NewRecord(tla.Field{Name: "version", Value: n.version(rec.Version)},
			tla.Field{Name: "value", Value: valueOf(rec.Op, rec.Value)}, tla.Field{Name: "writer", Value: n.session(rec.Writer)})})
	}
	rest = rest.With("store", tla.Except(rest.Get("store"), r, tla.NewFunction(held...)))
	rest = rest.With("collect", tla.Except(rest.Get("collect"), r, n.version(replica.Collect)))
	again, storeAgain := n.replicaOf(r, rest)
	got, want := *replica, *again
	got.Store, got.Sessions, got.Floor = nil, nil, protocol.Version{}
	want.Store, want.Sessions = nil, nil
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(recordsThatMatter(store), recordsThatMatter(storeAgain)) {
		edges.Fail("the code's replica %+v with %+v is not all told: what is would make it %+v with %+v", got, store, want, storeAgain)
	}
	return rest
}

func recordsThatMatter(s protocol.MemoryStore) protocol.MemoryStore {
	same := protocol.MemoryStore{}
	for k, rec := range s {
		rec.Request = 0
		if len(rec.Value) == 0 {
			rec.Value = nil
		}
		same[k] = rec
	}
	return same
}
