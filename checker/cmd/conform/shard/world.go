// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"context"
	"errors"
	"time"

	"dalio/checker/conform/edges"
	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/protocol"
	"dalio/spec/tla"
)

// world is what the steps of a control plane have their effects on.
type world struct {
	*turn
	x        tla.Model
	executor *membership.Executor
	kernel   *protocol.Coordinator
	replicas map[int]*replica
	// config is the one that is valid, swaps how often it was changed, and base the
	// revision that the control plane has read.
	config config.Config
	swaps  config.Revision
	base   config.Revision
	// only is the one member that requests reach, if it is not 0.
	only protocol.ReplicaID
	// recovered is what was recovered, if that is over; own is the member that
	// still tells what it holds itself.
	recovered tla.Record
	own       protocol.ReplicaID
	collected []membership.Recent
}

func (w *world) revision() config.Revision {
	return config.Revision(len(w.from.Rest.Get("configs").(tla.Tuple))) + w.swaps
}

// tell makes of the world a state, but for what control planes remember.
func (w *world) tell() tla.Record {
	rest := w.tellCoordinator(w.x, w.kernel, w.from.Messages, w.from.Rest)
	for i, node := range w.nodes {
		rest = w.tellReplica(node, w.replicas[i], w.from.Messages, rest)
	}
	configs := append(tla.Tuple(nil), rest.Get("configs").(tla.Tuple)...)
	configs[len(configs)-1] = w.tellConfig(configs[len(configs)-1].(tla.Record))
	return rest.With("configs", configs)
}

func (w *world) tellConfig(before tla.Record) tla.Record {
	var members, inSync []tla.Value
	for _, m := range w.config.Members {
		members = append(members, w.member(m.ID))
		if m.InSync {
			inSync = append(inSync, w.member(m.ID))
		}
	}
	return before.With("coordinator", tla.Model(w.config.Coordinator)).With("members", tla.NewSet(members...)).With("inSync", tla.NewSet(inSync...))
}

// store is the configuration's.
type store struct{ *world }

func (s store) Load(context.Context) (config.Config, config.Revision, error) {
	return s.config, s.revision(), nil
}

func (s store) Swap(_ context.Context, base config.Revision, next config.Config) (config.Revision, error) {
	if base != s.revision() {
		return 0, config.ErrChanged
	}
	if err := next.Check(); err != nil {
		edges.Fail("%v", err)
	}
	s.config, s.swaps = next, s.swaps+1
	return s.revision(), nil
}

// plane is the data plane of x.
type plane struct{ *world }

func (p plane) SetServing(set uint16) error { p.kernel.Serving = set; return nil }

func (p plane) SetMembers(_ context.Context, members []config.Member) error {
	p.kernel.Members, p.kernel.Known = membership.InMask(members), [protocol.MaxMembers]protocol.Member{}
	for _, m := range members {
		p.kernel.Known[m.ID.Index()] = protocol.Member{ID: m.ID, Address: nodeAddress(m.ID.Index())}
	}
	return nil
}

func (p plane) SetMinMembers(n int) error { p.kernel.MinMembers = n; return nil }

func (p plane) Shut() error { return nil }

func (p plane) Open(ctx context.Context, e protocol.Epoch, members []config.Member, sessions []protocol.SessionRecord, minMembers int, _ time.Duration) error {
	*p.kernel = *p.closedKernel()
	p.kernel.Epoch, p.kernel.MinMembers = e, minMembers
	for _, s := range sessions {
		p.kernel.Sessions[s.Session.Slot()] = protocol.SessionEntry{Owner: s.Session, Request: s.Request, Op: s.Op, KeyHash: s.KeyHash, Digest: s.Digest, Settled: s.Version}
	}
	err := p.SetMembers(ctx, members)
	p.kernel.Serving = p.kernel.Members
	return err
}

// asked are the replicas, of which a step reaches some.
type asked struct{ *world }

var errNotIt = errors.New("another member, or none, is there")

// at returns the replica that a request for a member is answered by, or nil if
// the step does not reach it now.
func (a asked) at(m config.Member) (*replica, error) {
	r := a.replicas[m.ID.Index()]
	switch {
	case a.only != 0 && a.only != m.ID:
		return nil, nil
	case r.ID != m.ID:
		return nil, errNotIt
	}
	return r, nil
}

func (a asked) Assign(_ context.Context, m config.Member, e protocol.Epoch, _ uint32) error {
	r := a.replicas[m.ID.Index()]
	fresh := emptyReplica()
	fresh.Epoch = r.Epoch
	if !fresh.Assign(m.ID, e, protocol.Version{}) {
		return errors.New("a later epoch")
	}
	a.replicas[m.ID.Index()] = fresh
	return nil
}

func (a asked) Fence(_ context.Context, m config.Member, e protocol.Epoch) error {
	r, err := a.at(m)
	if r != nil && !r.Fence(e) {
		err = errors.New("a later epoch")
	}
	return err
}

func (a asked) Recent(_ context.Context, m config.Member, since *protocol.Version) (membership.Recent, error) {
	var all membership.Recent
	r := a.replicas[m.ID.Index()]
	held, sessions, floor := r.store, r.sessions, r.Floor
	switch {
	case a.recovered != nil && a.own != m.ID:
		held, sessions, floor = a.records(a.recovered.Get("records")), a.sessionRecords(a.recovered.Get("sessions"), a.from.Messages), protocol.Version{}
	case r.ID != m.ID:
		return all, errNotIt
	}
	for key, rec := range held {
		if floor.Less(rec.Version) {
			all.Records = append(all.Records, protocol.Message{Type: protocol.Write, Version: rec.Version, Session: rec.Writer, Writer: rec.Writer,
				Request: rec.Request, Op: rec.Op, Key: []byte(key), KeyHash: protocol.KeyHash([]byte(key)), Value: rec.Value, Digest: rec.Digest})
		}
	}
	for _, s := range sessions {
		all.Sessions = append(all.Sessions, s)
	}
	a.collected = append(a.collected, all)
	return all, nil
}

// union tells the newest of what was collected.
func (w *world) union() tla.Record {
	newest, sessions := protocol.MemoryStore{}, protocol.SessionTable{}
	for _, r := range w.collected {
		for _, m := range r.Records {
			if newest.Get(m.Key).Version.Less(m.Version) {
				newest.Put(m.Key, recordOf(m))
			}
		}
		for _, s := range r.Sessions {
			sessions.Record(s)
		}
	}
	return fields("records", w.tellRecords(newest), "sessions", w.tellSessionRecords(sessions))
}

func recordOf(m protocol.Message) protocol.Record {
	return protocol.Record{Version: m.Version, Writer: m.Writer, Request: m.Request, Op: m.Op, Digest: m.Digest, Value: m.Value}
}

func (a asked) Install(_ context.Context, m config.Member, e protocol.Epoch, what membership.Recent) error {
	r, err := a.at(m)
	if r == nil {
		return err
	}
	if r.Epoch != e || !r.Fenced {
		return errors.New("it is not fenced for this epoch")
	}
	for _, w := range what.Records {
		if r.store.Get(w.Key).Version.Less(w.Version) {
			r.store.Put(w.Key, recordOf(w))
		}
	}
	for _, s := range what.Sessions {
		r.sessions.Record(s)
	}
	return nil
}

func (a asked) Open(_ context.Context, m config.Member, e protocol.Epoch) error {
	r, err := a.at(m)
	if r != nil && !r.Open(e) {
		err = errors.New("another epoch")
	}
	return err
}

func (a asked) CatchUp(context.Context, config.Member, protocol.Epoch, config.Member) error {
	return nil
}

func (a asked) Expel(context.Context, config.Member) error { return nil }
