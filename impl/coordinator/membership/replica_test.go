// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"dalio/impl/config"
	"dalio/protocol"
)

// settledAll is the floor of a replica that was opened in an epoch: every version
// of earlier ones is settled.
func settledAll(e protocol.Epoch) protocol.Version {
	return protocol.Version{Epoch: e - 1, Seq: protocol.MaxSeq}
}

// simReplica is a replica as its contract says, with messages and requests that
// arrive whole, in any order.
type simReplica struct {
	address netip.AddrPort
	durable bool
	up      bool

	id    protocol.ReplicaID
	epoch protocol.Epoch
	open  bool
	floor protocol.Version
	// returned: it has come back with its disk, which knew the epoch.
	returned bool
	kept     protocol.Epoch
	store    map[string]protocol.Message
	sessions protocol.SessionTable
	// old has what is of an earlier membership and proves nothing: keys and slots.
	old map[any]bool

	catchUp  CatchUp
	snapshot *simReplica
}

func newReplica(address netip.AddrPort, durable bool) *simReplica {
	r := &simReplica{address: address, durable: durable, up: true}
	r.forget()
	return r
}

func (r *simReplica) forget() {
	*r = simReplica{address: r.address, durable: r.durable, up: r.up, store: map[string]protocol.Message{},
		sessions: protocol.SessionTable{}, old: map[any]bool{}, catchUp: CatchUp{State: NotBegun}}
}

func (r *simReplica) crash() {
	r.up = false
	r.snapshot, r.catchUp = nil, CatchUp{State: NotBegun}
	if !r.durable {
		r.forget()
		return
	}
	// What was settled may have been forgotten again, for it is noted now and then.
	r.returned, r.kept, r.open, r.floor = r.id != 0, r.epoch, false, protocol.Version{}
}

// write is HandleWrite.
func (r *simReplica) write(m protocol.Message) (protocol.Message, bool) {
	if !r.up || !r.open || m.Epoch != r.epoch || m.Replica != r.id {
		return m, false
	}
	r.take(m)
	r.record(protocol.RecordOf(&m))
	m.Type, m.Value = protocol.WriteAck, nil
	return m, true
}

func (r *simReplica) take(m protocol.Message) {
	if key := string(m.Key); r.old[key] || r.store[key].Version.Less(m.Version) {
		r.store[key] = m
		delete(r.old, key)
	}
}

func (r *simReplica) record(s protocol.SessionRecord) {
	slot := s.Session.Slot()
	if r.old[slot] {
		delete(r.sessions, slot)
		delete(r.old, slot)
	}
	r.sessions.Record(s)
}

func (r *simReplica) read(m protocol.Message) (protocol.Message, bool) {
	if !r.up || !r.open || m.Epoch != r.epoch || m.Replica != r.id {
		return m, false
	}
	held := r.store[string(m.Key)]
	if r.old[string(m.Key)] {
		held = protocol.Message{}
	}
	m.Type, m.Version, m.Value, m.Writer = protocol.ReadReply, held.Version, held.Value, held.Session
	return m, true
}

var errDown = errors.New("connection refused")

// refuse checks what every request of the control API is checked for.
func (r *simReplica) refuse(m config.Member, e protocol.Epoch) error {
	switch {
	case !r.up:
		return errDown
	case r.id != m.ID:
		return fmt.Errorf("asked as member %d, this is %d", m.ID, r.id)
	case e < r.epoch:
		return fmt.Errorf("epoch %d, this is %d", e, r.epoch)
	}
	return nil
}

func (r *simReplica) assign(m config.Member, e protocol.Epoch) error {
	switch {
	case !r.up:
		return errDown
	case e < r.epoch || m.ID>>4 < r.id>>4:
		return errors.New("a later membership was assigned")
	case r.id == m.ID && !r.returned:
		return nil
	case r.id == m.ID:
		return errors.New("it was assigned before")
	}
	r.returned = false
	if r.durable {
		for key := range r.store {
			r.old[key] = true
		}
		for slot := range r.sessions {
			r.old[slot] = true
		}
	} else {
		r.forget()
	}
	r.id, r.epoch, r.open, r.floor = m.ID, e, true, protocol.Version{}
	r.snapshot, r.catchUp = nil, CatchUp{State: NotBegun}
	return nil
}

func (r *simReplica) fence(m config.Member, e protocol.Epoch) error {
	if err := r.refuse(m, e); err != nil {
		return err
	}
	if e > r.epoch {
		r.epoch, r.open = e, false
		r.snapshot, r.catchUp = nil, CatchUp{State: NotBegun}
	}
	return nil
}

func (r *simReplica) recent(m config.Member, since *protocol.Version) (Recent, error) {
	if err := r.refuse(m, r.epoch); err != nil {
		return Recent{}, err
	}
	var all Recent
	floor := r.floor
	if since != nil && since.Less(floor) {
		floor = *since
	}
	for key, rec := range r.store {
		if !r.old[key] && floor.Less(rec.Version) {
			all.Records = append(all.Records, rec)
		}
	}
	for slot, rec := range r.sessions {
		if !r.old[slot] {
			all.Sessions = append(all.Sessions, rec)
		}
	}
	return all, nil
}

func (r *simReplica) install(m config.Member, e protocol.Epoch, what Recent) error {
	if err := r.refuse(m, e); err != nil {
		return err
	}
	if r.open || e != r.epoch || r.returned && e == r.kept {
		return errors.New("not fenced for this epoch")
	}
	for _, rec := range what.Records {
		r.take(rec)
	}
	for _, rec := range what.Sessions {
		r.record(rec)
	}
	return nil
}

func (r *simReplica) openIn(m config.Member, e protocol.Epoch) error {
	if err := r.refuse(m, e); err != nil {
		return err
	}
	if e != r.epoch || r.returned && e == r.kept {
		return errors.New("not fenced for this epoch")
	}
	if !r.open {
		r.returned = false
		r.open, r.floor = true, settledAll(e)
	}
	return nil
}

func (r *simReplica) settle(m config.Member, e protocol.Epoch, floor uint64) {
	if r.refuse(m, e) == nil && e == r.epoch && r.open && r.floor.Less(protocol.Version{Epoch: e, Seq: floor}) {
		r.floor = protocol.Version{Epoch: e, Seq: floor}
	}
}

func (r *simReplica) beginCatchUp(m config.Member, e protocol.Epoch, source netip.AddrPort) error {
	if err := r.refuse(m, e); err != nil {
		return err
	}
	if e != r.epoch {
		return errors.New("another epoch")
	}
	if r.catchUp.From != source || r.catchUp.State == Failed {
		r.catchUp, r.snapshot = CatchUp{State: Running, From: source}, nil
	}
	return nil
}

// goOn takes the next step of a catch-up: first a snapshot of whoever is at the
// source's address, in the same epoch, then what is in it.
func (r *simReplica) goOn(source *simReplica) {
	if !r.up || r.catchUp.State != Running {
		return
	}
	if r.snapshot == nil {
		if !source.up || source.id == 0 || !source.open || source.epoch != r.epoch {
			r.catchUp.State = Failed
			return
		}
		r.snapshot = &simReplica{store: maps.Clone(source.store), sessions: maps.Clone(source.sessions)}
		return
	}
	for _, rec := range r.snapshot.store {
		r.take(rec)
	}
	for _, rec := range r.snapshot.sessions {
		r.record(rec)
	}
	// What the source lacks was never settled.
	for thing := range r.old {
		if key, ok := thing.(string); ok {
			delete(r.store, key)
		} else {
			delete(r.sessions, thing.(int))
		}
	}
	clear(r.old)
	r.snapshot, r.catchUp.State = nil, Complete
}

func (r *simReplica) expel(m config.Member) error {
	if !r.up {
		return errDown
	}
	if r.id == m.ID {
		r.id, r.open = 0, false
	}
	return nil
}

// told is what the replica tells of itself.
func (r *simReplica) told() Replica {
	return Replica{Suspected: !r.up, Known: true, ID: r.id, Returned: r.returned, Floor: r.floor, Holds: len(r.store)+len(r.sessions) > 0, CatchUp: r.catchUp}
}
