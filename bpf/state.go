// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"dalio/protocol"
)

// batch is how many session entries go through one system call.
const batch = 4096

// Sessions returns the session table, slot by slot. Each entry is read in one
// piece, but not all at the same moment.
func (d *DataPlane) Sessions() ([]protocol.SessionEntry, error) {
	entries := make([]protocol.SessionEntry, 0, d.options.MaxSessions)
	err := d.eachSession(func(e *sessionEntry) { entries = append(entries, e.model()) })
	return entries, err
}

// PendingWrites returns how many writes wait for acknowledgements.
func (d *DataPlane) PendingWrites() (int, error) {
	pending := 0
	err := d.eachSession(func(e *sessionEntry) {
		if e.pending() {
			pending++
		}
	})
	return pending, err
}

func (d *DataPlane) eachSession(visit func(*sessionEntry)) error {
	size := min(batch, int(d.options.MaxSessions))
	keys, values := make([]uint32, size), make([]sessionEntry, size)
	options := &ebpf.BatchOptions{ElemFlags: uint64(ebpf.LookupLock)}
	var cursor ebpf.MapBatchCursor
	for {
		n, err := d.objects.Sessions.BatchLookup(&cursor, keys, values, options)
		for i := range n {
			visit(&values[i])
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read session table: %w", err)
		}
	}
}

// State returns everything that the coordinator remembers. It is of one moment
// only if the program does not run meanwhile.
func (d *DataPlane) State() (*protocol.Coordinator, error) {
	sessions, err := d.Sessions()
	if err != nil {
		return nil, err
	}
	c, err := d.Summary()
	if err != nil {
		return nil, err
	}
	c.Sessions = sessions
	return c, nil
}

// Summary returns the state but for the sessions, of which there are many.
func (d *DataPlane) Summary() (*protocol.Coordinator, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := &d.memberships[d.active]
	c := &protocol.Coordinator{
		Self: d.options.Self, SessionTTL: d.options.SessionTTL,
		Epoch: protocol.Epoch(m.Epoch), Known: m.known(), Members: m.Members, Serving: m.Serving,
		MinMembers: int(m.MinMembers), Lease: uint64(d.options.Lease),
	}
	if err := errors.Join(d.objects.Answered.Get(&c.Answered), d.objects.Held.Get(&c.Held), d.objects.ClockNow.Get(&c.Now)); err != nil {
		return nil, fmt.Errorf("read lease: %w", err)
	}
	if err := d.readSequence(&c.NextSeq); err != nil {
		return nil, err
	}
	if err := d.objects.Tick.Get(&c.Tick); err != nil {
		return nil, fmt.Errorf("read tick: %w", err)
	}
	return c, nil
}

// Restore puts a state in place of what the coordinator remembers. It is for
// tests: the program must not run meanwhile. Counters stay as they are.
func (d *DataPlane) Restore(c *protocol.Coordinator) error {
	o := d.options
	if c.Self != o.Self || c.SessionTTL != o.SessionTTL || c.Lease != uint64(o.Lease) || len(c.Sessions) != int(o.MaxSessions) {
		return fmt.Errorf("%w: the state is of a coordinator with other ones", ErrOptions)
	}
	err := d.publish(func(m *membership) error {
		m.Epoch, m.Members = uint32(c.Epoch), c.Members
		m.setKnown(c.Known)
		m.setServing(c.Serving)
		m.setMinMembers(c.MinMembers)
		return nil
	})
	if err != nil {
		return err
	}
	if err := errors.Join(d.objects.Answered.Set(c.Answered), d.setHeld(c.Held), d.objects.ClockNow.Set(c.Now), d.forgetLease()); err != nil {
		return fmt.Errorf("write lease: %w", err)
	}
	if err := d.writeSequence(c.NextSeq); err != nil {
		return err
	}
	if err := d.objects.Tick.Set(c.Tick); err != nil {
		return fmt.Errorf("write tick: %w", err)
	}
	return d.writeSessions(c.Sessions)
}

// setHeld sets when the lease was last found to hold. Where the clock is put back, no
// stamp may be of a moment that is yet to come.
func (d *DataPlane) setHeld(at uint64) error {
	return errors.Join(d.objects.Held.Set(at), d.objects.Moment.Set(uint64(0)))
}

// writeSessions writes the whole session table.
func (d *DataPlane) writeSessions(sessions []protocol.SessionEntry) error {
	for start := 0; start < len(sessions); start += batch {
		part := sessions[start:min(start+batch, len(sessions))]
		keys, values := make([]uint32, len(part)), make([]sessionEntry, len(part))
		for i := range part {
			keys[i] = uint32(start + i)
			values[i].set(part[i])
		}
		if _, err := d.objects.Sessions.BatchUpdate(keys, values, nil); err != nil {
			return fmt.Errorf("write session table: %w", err)
		}
	}
	return nil
}

// Counters is what the data plane has counted since it was loaded.
type Counters struct {
	// Drops has the dropped frames by reason, Actions the frames that reached a
	// handler, Activities what was done, by the names in wire.h.
	Drops, Actions, Activities map[string]uint64
	// Reads has the reads forwarded to each replica index.
	Reads [protocol.MaxMembers]uint64
}

// Counters sums up the counters of all processors.
func (d *DataPlane) Counters() (Counters, error) {
	total, err := d.readCounters()
	if err != nil {
		return Counters{}, err
	}
	c := Counters{Drops: map[string]uint64{}, Actions: map[string]uint64{}, Activities: map[string]uint64{},
		Reads: total.Reads}
	for _, reason := range protocol.Reasons() {
		c.Drops[reason.String()] = total.Drops[reason]
	}
	for i, name := range actionNames {
		c.Actions[name] = total.Actions[i]
	}
	for i, name := range activityNames {
		c.Activities[name] = total.Activities[i]
	}
	return c, nil
}

func (d *DataPlane) readCounters() (counterSet, error) {
	var total counterSet
	var perCPU []counterSet
	if err := d.objects.Counters.Lookup(uint32(0), &perCPU); err != nil {
		return total, fmt.Errorf("read counters: %w", err)
	}
	total.add(perCPU)
	return total, nil
}
