// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"time"

	"dalio/impl/config"
	"dalio/protocol"
)

// entry is a slot of the session table.
type entry struct {
	owner   protocol.SessionID
	request uint64
	version protocol.Version
	write   protocol.Message
	acks    uint16
	pending bool
	opened  uint16
}

// simKernel is a data plane, reduced to what failures make a difference to.
type simKernel struct {
	Kernel
	host    *simHost
	seq     uint64
	entries []entry
	// answered is when what a member answered last was sent, by index.
	answered [protocol.MaxMembers]time.Duration
}

func (k *simKernel) busy() (set uint16) {
	for i := range k.entries {
		if k.entries[i].pending {
			set |= k.entries[i].acks
		}
	}
	return set
}

func (k *simKernel) setMembers(members []config.Member) {
	ids := [protocol.MaxMembers]protocol.ReplicaID{}
	for _, m := range members {
		i := m.ID.Index()
		if k.IDs[i] != m.ID && k.busy()>>i&1 != 0 {
			k.host.world.fatalf("member %d gets an index that a pending write counts as acknowledged", m.ID)
		}
		ids[i] = m.ID
		if k.IDs[i] != m.ID {
			k.answered[i] = -time.Hour
		}
	}
	if k.Serving&^InMask(members) != 0 {
		k.host.world.fatalf("a serving member would not be a member")
	}
	k.IDs, k.Members = ids, InMask(members)
}

func (k *simKernel) open(e protocol.Epoch, members []config.Member, sessions []protocol.SessionRecord, minMembers int) {
	w := k.host.world
	*k = simKernel{host: k.host, entries: make([]entry, len(w.lanes))}
	k.setMembers(members)
	k.Epoch, k.Serving, k.MinMembers = e, k.Members, minMembers
	if w.broken.sessions {
		return
	}
	for _, s := range sessions {
		k.entries[s.Session.Slot()] = entry{owner: s.Session, request: s.Request, version: s.Version}
	}
}

// request handles a WriteRequest of a lane.
func (k *simKernel) request(l *lane) {
	w := k.host.world
	if k.Epoch == 0 {
		return
	}
	e := &k.entries[l.slot]
	if l.session == 0 {
		if e.pending {
			return
		}
		e.opened++
		e.owner, e.request = protocol.MintSessionID(k.Epoch, e.opened, l.slot), 0
		l.session = e.owner
	}
	if l.session.Epoch() > k.Epoch {
		return
	}
	if e.owner != l.session {
		if l.session.Epoch() == k.Epoch || l.session < e.owner || e.pending {
			w.expired(l)
			return
		}
		e.owner, e.request = l.session, 0
	}
	switch {
	case l.request < e.request:
	case l.request == e.request && !e.pending:
		w.answer(l, e.version)
	case l.request == e.request:
		if !k.commit(l.slot) {
			k.multicast(e)
		}
	case e.pending, count(k.Members) < k.MinMembers:
	default:
		k.seq++
		version := protocol.Version{Epoch: k.Epoch, Seq: k.seq}
		e.request, e.version, e.acks, e.pending = l.request, version, 0, true
		e.write = protocol.Message{Type: protocol.Write, Epoch: k.Epoch, Version: version, Session: l.session, Writer: l.session,
			Request: l.request, Key: []byte(l.key), Value: []byte(l.value)}
		k.multicast(e)
	}
}

func (k *simKernel) multicast(e *entry) {
	for i, id := range k.IDs {
		if k.Members&^e.acks>>i&1 != 0 {
			m := e.write
			m.Replica, m.Sent = id, uint64(k.host.world.now)
			k.host.world.send(k.host, m)
		}
	}
}

// commit commits the write in a slot if the members of now have acknowledged it.
func (k *simKernel) commit(slot int) bool {
	e := &k.entries[slot]
	if !e.pending || k.Members&^e.acks != 0 {
		return false
	}
	e.pending = false
	k.host.world.commit(slot, e)
	return true
}

// known says whether a reply is of this epoch and from a member.
func (k *simKernel) known(m *protocol.Message) bool {
	i := m.Replica.Index()
	if k.Epoch == 0 || m.Epoch != k.Epoch || k.IDs[i] != m.Replica || k.Members>>i&1 == 0 {
		return false
	}
	k.answered[i] = max(k.answered[i], time.Duration(m.Sent))
	return true
}

func (k *simKernel) acknowledge(m protocol.Message) {
	if !k.known(&m) {
		return
	}
	slot := m.Session.Slot()
	if e := &k.entries[slot]; e.pending && e.version == m.Version {
		e.acks |= 1 << m.Replica.Index()
		k.commit(slot)
	}
}

// release is the gate, with the read lease.
func (k *simKernel) release(m protocol.Message) bool {
	if !k.known(&m) || k.Serving>>m.Replica.Index()&1 == 0 {
		return false
	}
	for i := range k.IDs {
		if k.Members>>i&1 != 0 && k.answered[i]+simLease < k.host.world.now {
			return false
		}
	}
	if m.Version.Epoch != k.Epoch {
		return true
	}
	slot := m.Writer.Slot()
	e := &k.entries[slot]
	return e.version.Epoch == k.Epoch && (m.Version.Less(e.version) || m.Version == e.version && (!e.pending || k.commit(slot)))
}
