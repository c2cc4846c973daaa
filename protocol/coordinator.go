// SPDX-License-Identifier: Apache-2.0

package protocol

import "math/bits"

// Limits of the coordinator.
const (
	// MaxMembers bounds the replicas of a shard: one bit each in 16.
	MaxMembers = 16
	// MaxSeq is the last sequence number of an epoch; past it writes are BUSY
	// until the epoch changes.
	MaxSeq = 1<<48 - 1
	// MaxHops is how often a read is forwarded again because of the gate
	// before its gated reply is used to re-drive the write it waits for.
	MaxHops = 64
	// OpenWindow is how many slots an OpenRequest may choose from.
	OpenWindow = 8

	// committed in place of an acknowledging set: nothing is pending.
	committed = 1<<MaxMembers - 1
)

// Member is a replica that the coordinator knows.
type Member struct {
	ID      ReplicaID
	Address Address
}

// SessionEntry is one slot of the session table. It holds the session's last
// write, so the table is also the table of pending writes.
type SessionEntry struct {
	// Owner is the session the slot belongs to, 0 if it never had one.
	Owner SessionID
	// Nonce is that of the OpenRequest that made Owner.
	Nonce uint64
	// Request is the owner's last request id, 0 before its first write.
	Request uint64
	// Seq is the version of the slot's last write in this epoch, 0 for none.
	// Invariant: it never falls, and it changes only while nothing is pending.
	Seq uint64
	// Acks is the acknowledging set of that write, or committed (all ones). It may
	// hold replicas that are members no more.
	Acks uint16
	// Op, KeyHash and Digest tell a retry from another request.
	Op      Op
	KeyHash uint64
	Digest  uint32
	// Tick is the time of the last use.
	Tick uint32
	// Settled is the version of the owner's last request, if that is of an earlier
	// epoch.
	Settled Version
}

// Pending says whether the slot's last write waits for acknowledgements.
func (e *SessionEntry) Pending() bool { return e.Seq != 0 && e.Acks != committed }

// Coordinator is the state of a shard's coordinator.
type Coordinator struct {
	// Self is the address on which clients and replicas reach the coordinator.
	Self Address
	// Epoch is 0 while none is open: every message is dropped then.
	Epoch Epoch
	// NextSeq is the last sequence number given out.
	NextSeq uint64
	// Tick is the control plane's clock, in seconds, and SessionTTL the age at
	// which an idle session may be reclaimed.
	Tick       uint32
	SessionTTL uint32
	// Known holds every replica that may speak to the coordinator, by index.
	Known [MaxMembers]Member
	// Members and Serving are sets of indices. Invariant: Serving ⊆ Members.
	Members uint16
	Serving uint16
	// MinMembers is how many members there must be for new writes.
	MinMembers int
	// Now is the clock, in nanoseconds, and Lease for how long the silence of a
	// member is borne before no more values are released; 0 for ever. Answered has
	// the time at which the newest message that each replica has answered was sent.
	Now, Lease uint64
	Answered   [MaxMembers]uint64
	// Held is the time of the last look at the clock that found the lease holding.
	Held uint64
	// Sessions has a power of two of entries.
	Sessions []SessionEntry
}

// Output is what an action of the coordinator makes of a message: nothing but a
// reason to drop it, a message to one address, or a message to many replicas.
type Output struct {
	Reason  Reason
	Message *Message
	To      Address
	// Targets is the set of replicas that a Write goes to.
	Targets uint16
	// Pass leaves the frame to the host.
	Pass bool
}

func drop(r Reason) Output { return Output{Reason: r} }

// HandleWriteRequest sequences a write and multicasts it, multicasts it again
// under its old version, or repeats its answer. The entry is filled before
// anything is sent, so that no replica can hold a version that the gate does
// not know as pending.
func (c *Coordinator) HandleWriteRequest(m Message, from Address) Output {
	if !wellFormedRequest(&m, from) || m.Op != OpPut && m.Op != OpDelete || m.Op == OpDelete && len(m.Value) != 0 {
		return drop(BadRequest)
	}
	slot := m.Session.Slot()
	switch epoch := c.Epoch & epochMask; {
	case m.Session == 0:
		return drop(BadRequest)
	case m.Session.Epoch() > epoch:
		return drop(FutureEpoch)
	case slot >= len(c.Sessions):
		return c.answerWrite(m, from, StatusExpired, Version{})
	}
	e := &c.Sessions[slot]
	if e.Owner != m.Session && !c.adopt(e, m.Session) {
		return c.answerWrite(m, from, StatusExpired, Version{})
	}
	if m.Request < e.Request {
		return drop(StaleRequest)
	}
	e.Tick = c.Tick
	if m.Request == e.Request {
		switch {
		case m.Op != e.Op || m.KeyHash != e.KeyHash || m.Digest != e.Digest:
			return c.answerWrite(m, from, StatusRefused, Version{})
		case e.Seq == 0:
			return c.answerWrite(m, from, StatusOK, e.Settled)
		case c.commitIfCovered(e):
			return c.answerWrite(m, from, StatusOK, Version{c.Epoch, e.Seq})
		case c.Members == 0:
			return c.answerWrite(m, from, StatusBusy, Version{})
		}
		return c.multicast(m, from, e.Seq, c.Members&^e.Acks)
	}
	switch {
	case e.Pending():
		return c.answerWrite(m, from, StatusBusy, Version{})
	case bits.OnesCount16(c.Members) < c.MinMembers:
		return c.answerWrite(m, from, StatusTooFew, Version{})
	case c.Members == 0 || c.NextSeq >= MaxSeq:
		return c.answerWrite(m, from, StatusBusy, Version{})
	}
	c.NextSeq++
	e.Request, e.Seq, e.Acks = m.Request, c.NextSeq, 0
	e.Op, e.KeyHash, e.Digest = m.Op, m.KeyHash, m.Digest
	return c.multicast(m, from, e.Seq, c.Members)
}

// commitIfCovered says whether the write of an entry is committed, as it is once
// its acknowledging set covers the members there are now: after one was removed no
// further acknowledgement may come.
func (c *Coordinator) commitIfCovered(e *SessionEntry) bool {
	if c.covers(e.Acks) {
		e.Acks = committed
	}
	return e.Acks == committed
}

func (c *Coordinator) covers(acks uint16) bool { return c.Members != 0 && c.Members&^acks == 0 }

// HandleWriteAck adds a replica to the acknowledging set of a write. The one
// acknowledgement that makes the set cover the members commits the write and
// becomes its answer.
func (c *Coordinator) HandleWriteAck(m Message, from Address) Output {
	if r := c.checkReplica(&m, from); r != NotDropped {
		return drop(r)
	}
	slot := m.Writer.Slot()
	switch {
	case len(m.Key)+len(m.Value) != 0:
		return drop(BadReply)
	case m.Version.Epoch != c.Epoch:
		return drop(StaleAck)
	case slot >= len(c.Sessions):
		return drop(BadSession)
	}
	e := &c.Sessions[slot]
	switch {
	case e.Seq != m.Version.Seq || e.Seq == 0:
		return drop(StaleAck)
	case e.Acks == committed:
		return drop(LateAck)
	}
	e.Acks |= 1 << m.Replica.Index()
	if !c.commitIfCovered(e) {
		return drop(Acknowledged)
	}
	if !m.Client.valid() {
		return drop(Unclaimed)
	}
	return c.answerWrite(m, m.Client, StatusOK, m.Version)
}

// HandleReadRequest forwards a read to a serving member. The choice depends on
// the request alone: a session's reads go round, and so do a read's retries.
func (c *Coordinator) HandleReadRequest(m Message, from Address) Output {
	if !wellFormedRequest(&m, from) || len(m.Value) != 0 {
		return drop(BadRequest)
	}
	if c.Serving == 0 {
		m.Type, m.Status, m.Epoch, m.Replica, m.Client, m.Sent = ReadResponse, StatusBusy, c.Epoch, 0, Address{}, 0
		m.Key = nil
		return Output{Message: &m, To: from}
	}
	n := (uint64(m.Session) + m.Request + uint64(m.Attempt)) % uint64(bits.OnesCount16(c.Serving))
	m.Hops, m.Client = 0, from
	return c.forwardRead(m, nthBit(c.Serving, int(n)))
}

// HandleReadReply is the gate: it releases a value only if its version is
// committed. A gated read is forwarded again, to a member that has not
// acknowledged the version and may still hold the committed one before it.
// After MaxHops the reply, which holds the whole write, re-drives it: the
// writer may be gone, and nobody else would finish the write.
func (c *Coordinator) HandleReadReply(m Message, from Address) Output {
	if r := c.checkReplica(&m, from); r != NotDropped {
		return drop(r)
	}
	switch {
	case len(m.Key) == 0 || len(m.Key) > MaxKeySize || m.Op > OpDelete || !m.Version.valid() ||
		m.Version.Epoch > c.Epoch || !m.Client.valid():
		return drop(BadReply)
	case c.Serving>>m.Replica.Index()&1 == 0:
		return drop(NotServing)
	}
	if m.Version.Epoch == c.Epoch {
		slot := m.Writer.Slot()
		if slot >= len(c.Sessions) {
			return drop(BadSession)
		}
		e := &c.Sessions[slot]
		switch {
		case e.Seq < m.Version.Seq:
			return drop(UnknownVersion)
		case e.Seq == m.Version.Seq && !c.commitIfCovered(e):
			return c.gate(m, e)
		}
	}
	if overdue, expired := c.leaseHeldSince(m.Sent); expired {
		// A member that joins may not have caught up, but serve by the time its
		// answer is here: only what it is asked while it serves may be released.
		if m.Hops >= MaxHops || c.Serving>>overdue&1 == 0 {
			return drop(LeaseExpired)
		}
		m.Hops++
		return c.forwardRead(m, overdue)
	}
	to := m.Client
	m.Type, m.Status, m.Epoch, m.Client, m.Sent = ReadResponse, StatusOK, c.Epoch, Address{}, 0
	return Output{Message: &m, To: to}
}

// gate says what becomes of a reply whose version, that of e, is pending. With
// no serving member left to ask, only the re-drive can still help.
func (c *Coordinator) gate(m Message, e *SessionEntry) Output {
	behind := c.Serving &^ e.Acks
	if m.Hops >= MaxHops || behind == 0 {
		m.Session, m.Request, m.Digest = m.Writer, e.Request, e.Digest
		m.Attempt = 0
		return c.multicast(m, Address{}, e.Seq, c.Members&^e.Acks)
	}
	m.Hops++
	return c.forwardRead(m, nextBit(behind, m.Replica.Index()))
}

// checkReplica admits a message of a replica that is known and in this epoch, and
// takes note of when that was.
func (c *Coordinator) checkReplica(m *Message, from Address) Reason {
	known := c.Known[m.Replica.Index()]
	switch {
	case m.Epoch < c.Epoch:
		return StaleEpoch
	case m.Epoch > c.Epoch:
		return FutureEpoch
	case known.ID == 0 || known.ID != m.Replica || known.Address.IP != from.IP || known.Address.Port != from.Port:
		return UnknownReplica
	}
	if answered := &c.Answered[m.Replica.Index()]; c.Lease != 0 && m.Sent > *answered && m.Sent <= c.Now {
		*answered = m.Sent
	}
	return NotDropped
}

func (c *Coordinator) answerWrite(m Message, to Address, s Status, v Version) Output {
	m.Type, m.Status, m.Epoch, m.Replica, m.Client, m.Sent = WriteResponse, s, c.Epoch, 0, Address{}, 0
	m.Version, m.Writer = v, m.Session
	if s != StatusOK {
		m.Writer = 0
	}
	m.Key, m.Value = nil, nil
	return Output{Message: &m, To: to}
}

// multicast makes m the Write of a version.
func (c *Coordinator) multicast(m Message, client Address, seq uint64, targets uint16) Output {
	m.Type, m.Status, m.Hops, m.Epoch, m.Replica, m.Sent = Write, StatusNone, 0, c.Epoch, 0, c.stamp()
	m.Version, m.Writer, m.Client = Version{c.Epoch, seq}, m.Session, client
	return Output{Message: &m, Targets: targets}
}

func (c *Coordinator) forwardRead(m Message, index int) Output {
	target := c.Known[index]
	m.Type, m.Op, m.Status, m.Epoch, m.Replica, m.Sent = Read, OpNone, StatusNone, c.Epoch, target.ID, c.stamp()
	m.Version, m.Writer, m.Digest, m.Value = Version{}, 0, 0, nil
	return Output{Message: &m, To: target.Address}
}

// valid says whether v is the zero version or that of some write.
func (v Version) valid() bool { return (v.Epoch == 0) == (v.Seq == 0) }

func (a Address) valid() bool { return a.IP != [4]byte{} && a.Port != 0 }

func wellFormedRequest(m *Message, from Address) bool {
	return m.Request != 0 && len(m.Key) != 0 && len(m.Key) <= MaxKeySize && from.valid()
}

// nthBit returns the index of the nth lowest bit of a set that has it.
func nthBit(set uint16, n int) int {
	for ; n > 0; n-- {
		set &= set - 1
	}
	return bits.TrailingZeros16(set)
}

// nextBit returns the lowest index in set above i, or from the start of the set
// if there is none; i itself comes last.
func nextBit(set uint16, i int) int {
	if above := set >> i >> 1 << i << 1; above != 0 {
		return bits.TrailingZeros16(above)
	}
	return bits.TrailingZeros16(set)
}
