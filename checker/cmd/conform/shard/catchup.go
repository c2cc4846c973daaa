// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"dalio/protocol"
	"dalio/spec/tla"
)

// blank is what the specification says of a replica beside what it is and holds:
// of a catch-up that has not begun.
func (n *names) blank(rest tla.Record, node tla.Value) tla.Record {
	r := at(rest, "nodes", node).(tla.Record)
	nothing := fields("records", n.tellRecords(nil), "sessions", n.tellSessionRecords(nil))
	return put(rest, "nodes", node, r.With("old", tla.NewSet()).With("snapshot", nothing).With("source", none).With("catchup", tla.String("none")))
}

// config returns the configuration that is valid.
func current(rest tla.Record) tla.Record {
	configs := rest.Get("configs").(tla.Tuple)
	return configs[len(configs)-1].(tla.Record)
}

// mayCatchUp says whether a node is a member that may take what it lacks from
// another one: that is in sync, and both answer in the epoch.
func (t *turn) mayCatchUp(node, source tla.Model) bool {
	c := current(t.from.Rest)
	epoch := protocol.Epoch(len(t.from.Rest.Get("configs").(tla.Tuple)))
	to, from := t.replica(node), t.replica(source)
	inSync := c.Get("inSync").(tla.Set)
	return c.Get("members").(tla.Set).Has(t.member(to.ID)) && !inSync.Has(t.member(to.ID)) && inSync.Has(t.member(from.ID)) &&
		to.Epoch == epoch && from.Epoch == epoch && !to.Fenced && !from.Fenced
}

// catchUp has a node that joins read the session records and then the records of
// its source, and then take them over.
func (t *turn) catchUp(node tla.Model) {
	r := at(t.from.Rest, "nodes", node).(tla.Record)
	note := func(changed tla.Record, action string, arguments ...tla.Value) {
		t.add(put(t.from.Rest, "nodes", node, changed), nil, action, arguments...)
	}
	snapshot := r.Get("snapshot").(tla.Record)
	sourceIsThere := false
	for _, q := range t.nodes {
		sourceIsThere = sourceIsThere || tla.Equal(at(t.from.Rest, "nodes", q).(tla.Record).Get("id"), r.Get("source")) && t.mayCatchUp(node, q)
	}
	for _, q := range t.nodes {
		if !t.mayCatchUp(node, q) {
			continue
		}
		source := at(t.from.Rest, "nodes", q).(tla.Record)
		switch r.Get("catchup") {
		case tla.String("sessions"):
			if tla.Equal(source.Get("id"), r.Get("source")) {
				note(r.With("catchup", tla.String("records")).With("snapshot", snapshot.With("records", source.Get("store"))), "ReadRecords", node, q)
			}
			if sourceIsThere {
				continue
			}
			fallthrough
		case tla.String("none"):
			note(r.With("catchup", tla.String("sessions")).With("source", source.Get("id")).With("snapshot", snapshot.With("sessions", source.Get("sessions"))),
				"ReadSessions", node, q)
		}
	}
	if r.Get("catchup") == tla.String("records") {
		t.apply(node, snapshot)
	}
}

// apply takes over a snapshot: the records, each with the session record of its
// writer, and then the session records.
func (t *turn) apply(node tla.Model, snapshot tla.Record) {
	c := current(t.from.Rest)
	r := t.replica(node)
	id := t.member(r.ID)
	if r.Fenced || int(r.Epoch) != len(t.from.Rest.Get("configs").(tla.Tuple)) || !c.Get("members").(tla.Set).Has(id) || c.Get("inSync").(tla.Set).Has(id) {
		return
	}
	for key, source := range t.records(snapshot.Get("records")) {
		r.store.Put([]byte(key), protocol.Merge(r.store.Get([]byte(key)), true, source))
		r.sessions.Record(protocol.SessionRecord{Session: source.Writer, Request: source.Request, Version: source.Version,
			Op: source.Op, KeyHash: protocol.KeyHash([]byte(key)), Digest: source.Digest})
	}
	for _, s := range t.sessionRecords(snapshot.Get("sessions"), t.from.Messages) {
		r.sessions.Record(s)
	}
	rest := t.blank(t.tellReplica(node, r, t.from.Messages, t.from.Rest), node)
	done := at(rest, "nodes", node).(tla.Record).With("catchup", tla.String("done"))
	t.add(put(rest, "nodes", node, done), nil, "ApplySnapshot", node)
}

// crash has a replica lose what it has, and its id with it.
func (t *turn) crash(node tla.Model) {
	faults := t.from.Rest.Get("faults").(tla.Record)
	left := faults.Get("crashes").(tla.Int)
	if left == 0 || at(t.from.Rest, "nodes", node).(tla.Record).Get("id") == none {
		return
	}
	rest := t.blank(t.tellReplica(node, emptyReplica(), t.from.Messages, t.from.Rest), node)
	t.add(rest.With("faults", faults.With("crashes", left-1)), nil, "Crash", node)
}
