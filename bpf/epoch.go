// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"time"

	"dalio/protocol"
)

func checkEpoch(e protocol.Epoch) error {
	if e == 0 || e > maxEpoch {
		return fmt.Errorf("%w %d: epochs are 1 to %d", ErrEpoch, e, maxEpoch)
	}
	return nil
}

// Epoch is what a data plane is opened with.
type Epoch struct {
	Number  protocol.Epoch
	Members []protocol.Member
	// MinMembers is how many members there must be for new writes.
	MinMembers int
	// Recovered has the newest session record of each slot, as the members hold it.
	Recovered []protocol.SessionRecord
	// Answered is when the members were last asked something that all of them have
	// answered in this epoch, by Now: the lease runs from then on.
	Answered time.Duration
}

// Shut has the data plane drop every message until an epoch is opened. When it
// returns, no message is being handled.
func (d *DataPlane) Shut() error {
	return d.publish(func(m *membership) error {
		*m = membership{}
		return nil
	})
}

// Open shuts the data plane, forgets all that it knew, and opens it in a new epoch
// with what was recovered of earlier ones. All members serve. It returns ErrEpoch,
// ErrMembers or ErrOptions for an epoch that can't be; then it stays as it was.
func (d *DataPlane) Open(e Epoch) error {
	if err := checkEpoch(e.Number); err != nil {
		return err
	}
	known, set, err := tellApart(e.Members)
	if err != nil {
		return err
	}
	sessions, err := d.recover(e)
	if err != nil {
		return err
	}
	if err := d.Shut(); err != nil {
		return err
	}
	if err := d.writeSequence(0); err != nil {
		return err
	}
	if err := d.writeSessions(sessions); err != nil {
		return err
	}
	var answered [protocol.MaxMembers]uint64
	for i := range answered {
		answered[i] = uint64(e.Answered)
	}
	if err := d.objects.Answered.Set(answered); err != nil {
		return fmt.Errorf("open epoch %d: %w", e.Number, err)
	}
	return d.publish(func(m *membership) error {
		m.Epoch, m.Members = uint32(e.Number), set
		m.setKnown(known)
		m.setServing(set)
		m.setMinMembers(e.MinMembers)
		return nil
	})
}

// recover makes the session table of a new epoch.
func (d *DataPlane) recover(e Epoch) ([]protocol.SessionEntry, error) {
	var tick uint32
	if err := d.objects.Tick.Get(&tick); err != nil {
		return nil, fmt.Errorf("open epoch %d: %w", e.Number, err)
	}
	table := make([]protocol.SessionEntry, d.options.MaxSessions)
	for _, r := range e.Recovered {
		slot := r.Session.Slot()
		if slot >= len(table) {
			return nil, fmt.Errorf("%w: session %v was recovered, but the table has %d slots; all coordinators of a shard need tables of one size",
				ErrOptions, r.Session, len(table))
		}
		if r.Version.Epoch >= e.Number {
			return nil, fmt.Errorf("%w %d: version %v was recovered", ErrEpoch, e.Number, r.Version)
		}
		table[slot] = protocol.SessionEntry{Owner: r.Session, Request: r.Request, Op: r.Op, KeyHash: r.KeyHash, Digest: r.Digest,
			Settled: r.Version, Tick: tick}
	}
	return table, nil
}

// Floor returns a version of the epoch up to which all are settled: committed, and
// so held by every member. The number given out last is read first: a write that
// gets its number later has a higher one, and one that has got its number before
// is in the table when its entry is read, which waits for the entry's lock.
func (d *DataPlane) Floor() (protocol.Version, error) {
	d.mu.Lock()
	epoch := protocol.Epoch(d.memberships[d.active].Epoch)
	d.mu.Unlock()
	var floor uint64
	if err := d.readSequence(&floor); err != nil {
		return protocol.Version{}, err
	}
	err := d.eachSession(func(e *sessionEntry) {
		if e.pending() {
			floor = min(floor, e.Word>>protocol.MaxMembers-1)
		}
	})
	return protocol.Version{Epoch: epoch, Seq: floor}, err
}

// forgetLease has the program look at all members before it releases anything.
func (d *DataPlane) forgetLease() error { return d.objects.Memberships.Set(d.memberships) }
