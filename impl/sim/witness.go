// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math/bits"
	"slices"
	"time"

	"dalio/bpf"
	"dalio/protocol"
)

// request names a write for ever.
type request struct {
	session protocol.SessionID
	id      uint64
}

// sequenced is a write that a data plane has given a version.
type sequenced struct {
	version protocol.Version
	key     string
	at      time.Duration
	// acks are the indices that have acknowledged it, members those that had to when
	// it was sequenced.
	acks, members uint16
	pending       bool
}

// witness sees what comes and leaves, and tells the situations. Nothing of the run
// depends on it.
type witness struct {
	w *world
	// told has the status of requests that were told something else than OK, and busy
	// the nonces of opens that were told BUSY.
	told map[request]protocol.Status
	busy map[uint64]bool
	// given has the last version of each request.
	given map[request]protocol.Version
	// has is the set of machines that have got a version.
	has map[protocol.Version]uint16
	// indices has the id that each index was given to last.
	indices [protocol.MaxMembers]protocol.ReplicaID
	// opened is the highest epoch that a data plane has served.
	opened protocol.Epoch
	// removed is when a member was removed last.
	removed time.Duration
}

func newWitness(w *world) *witness {
	return &witness{w: w, told: map[request]protocol.Status{}, busy: map[uint64]bool{}, given: map[request]protocol.Version{},
		has: map[protocol.Version]uint16{}, removed: -time.Hour}
}

// table is what a witness knows of a data plane's session table.
type table struct {
	epoch protocol.Epoch
	slots [sessions]sequenced
}

func (t *table) enter(e protocol.Epoch) {
	if e != t.epoch {
		*t = table{epoch: e}
	}
}

// pending visits the pending writes.
func (t *table) pending(visit func(*sequenced)) {
	for i := range t.slots {
		if t.slots[i].pending {
			visit(&t.slots[i])
		}
	}
}

// did says whether an activity is among those that were counted.
func did(d *bpf.Handled, name string) bool { return d.Done>>activities[name]&1 != 0 }

// activities has the index of each.
var activities = func() map[string]int {
	all := map[string]int{}
	for i, name := range bpf.ActivityNames() {
		all[name] = i
	}
	return all
}()

// handled takes note of what a data plane made of a frame.
func (s *witness) handled(h *host, frame []byte, d *bpf.Handled) {
	c := s.w.cover
	if d.Action != "" {
		c.action(d.Action)
	}
	if d.Reason != protocol.NotDropped {
		c.Drops[d.Reason.String()]++
	}
	for set := d.Done; set != 0; set &= set - 1 {
		name := bpf.ActivityNames()[bits.TrailingZeros64(set)]
		c.Activities[name]++
		s.w.point(name)
	}
	m, err := decode(frame)
	if err != nil {
		return
	}
	var out protocol.Message
	if len(d.Frames) > 0 {
		if out, err = decode(d.Frames[0]); err == nil && out.Epoch != 0 {
			h.table.enter(out.Epoch)
			if s.opened < out.Epoch {
				s.opened = out.Epoch
				s.w.point("epoch-opened")
			}
		}
	}
	if d.Action != "" && h.table.epoch < s.opened && len(d.Frames) > 0 {
		c.met(twoServe)
	}
	switch m.Type {
	case protocol.OpenRequest:
		s.sawOpen(&m, &out, d)
	case protocol.WriteRequest:
		s.sawWrite(h, source(frame), &m, &out, d)
	case protocol.WriteAck:
		s.sawAck(h, &m, d)
	case protocol.ReadReply:
		s.sawReply(h, &m, d)
	}
}

func (s *witness) sawOpen(m, out *protocol.Message, d *bpf.Handled) {
	switch {
	case did(d, "open_busy"):
		s.w.cover.met(noSlot)
		s.busy[m.Request] = true
	case did(d, "opened"):
		if out.Session.Slot() != int(m.Request%sessions) {
			s.w.cover.met(slotShared)
		}
	}
}

func (s *witness) sawWrite(h *host, from [4]byte, m, out *protocol.Message, d *bpf.Handled) {
	c, id := s.w.cover, request{m.Session, m.Request}
	if status, ok := s.told[id]; ok && d.Reason == protocol.NotDropped {
		c.met(toldAgain)
		if did(d, "sequenced") && status == protocol.StatusTooFew {
			c.met(tooFew)
		}
	}
	if _, ok := s.given[id]; ok && d.Reason == protocol.Closed {
		c.met(retryClosed)
	}
	if did(d, "adopted") {
		c.met(adoptedOld)
	}
	slot := &h.table.slots[m.Session.Slot()%sessions]
	switch {
	case d.Reason == protocol.StaleRequest:
		c.met(oldRequest)
	case did(d, "expired") && m.Session.Epoch() == h.table.epoch:
		c.met(goneSession)
	case did(d, "too_few"), did(d, "write_busy"):
		s.told[id] = out.Status
	case did(d, "retried"):
		c.met(copyPending)
		if s.has[out.Version] == 0 {
			c.met(nobodyHas)
		}
	case did(d, "covered"):
		c.met(covered)
		s.committed(h, slot)
	case did(d, "sequenced"):
		h.table.pending(func(p *sequenced) {
			if p.key == string(m.Key) {
				c.met(superseded)
			}
		})
		*slot = sequenced{version: out.Version, key: string(m.Key), at: h.clock(), pending: true}
		if h.control != nil {
			slot.members = h.control.driven.Kernel().Members
		}
		s.given[id] = out.Version
		for _, client := range s.w.clients {
			if client.node.address.IP == from && slices.ContainsFunc(client.nonces, func(n uint64) bool { return s.busy[n] }) {
				c.met(busyOpen)
			}
		}
	}
}

func (s *witness) sawAck(h *host, m *protocol.Message, d *bpf.Handled) {
	c, slot := s.w.cover, &h.table.slots[m.Writer.Slot()%sessions]
	switch bit := uint16(1) << m.Replica.Index(); {
	case d.Reason == protocol.StaleEpoch:
		c.met(ackOfEpoch)
	case d.Reason == protocol.StaleAck && slot.pending:
		c.met(lateAck)
	case d.Reason == protocol.Acknowledged:
		c.met(someHave)
		if slot.acks&bit != 0 {
			c.met(ackTwice)
		}
		slot.acks |= bit
	case did(d, "commits"):
		slot.acks |= bit
		s.committed(h, slot)
	}
}

// committed takes note of a commit.
func (s *witness) committed(h *host, slot *sequenced) {
	c := s.w.cover
	slot.pending = false
	h.table.pending(func(p *sequenced) {
		if p.key == slot.key && slot.version.Less(p.version) {
			c.met(newerPending)
		}
	})
	if s.w.store.config.InSync() < len(s.w.store.config.Members) {
		c.met(whileJoining)
	}
	if slot.members != 0 && slot.acks&^slot.members != 0 {
		c.met(grownPending)
	}
}

func (s *witness) sawReply(h *host, m *protocol.Message, d *bpf.Handled) {
	c, slot := s.w.cover, &h.table.slots[m.Writer.Slot()%sessions]
	if did(d, "covered") {
		c.met(covered)
		s.committed(h, slot)
	}
	if did(d, "overdue") || d.Reason == protocol.LeaseExpired {
		c.met(leaseRanOut)
	}
	if did(d, "redriven") {
		c.met(redriven)
	}
	if did(d, "gated") {
		c.met(gatedRead)
		if slot.version == m.Version && uint64(slot.at) > m.Sent {
			c.met(readOvertaken)
		}
	}
}
