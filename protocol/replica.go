// SPDX-License-Identifier: Apache-2.0

package protocol

// Record is what a replica holds of one key. A deleted key keeps a record, its
// tombstone, whose version refuses older writes that arrive late.
type Record struct {
	Version Version
	// Writer is the session that wrote the version; a read's answer carries
	// it, because the gate finds a version by its writer's slot.
	Writer SessionID
	// Request is the writer's. A replica that gets the record from another one
	// learns from it what the session has written.
	Request uint64
	Op      Op
	Digest  uint32
	Value   []byte
}

// Store holds a replica's records. Get returns the zero Record for a key never
// written. The caller of HandleWrite sees to it that no two writes of one key
// run at once; a Store may keep the slices it is given only as copies.
type Store interface {
	Get(key []byte) Record
	Put(key []byte, r Record)
}

// SessionRecord is the newest write of a session that a replica knows of. It lets
// a coordinator that takes over tell a retry from a new request.
type SessionRecord struct {
	Session SessionID
	Request uint64
	Version Version
	Op      Op
	KeyHash uint64
	Digest  uint32
}

// Newer says whether the record is of a later request than another of the same
// slot. Sessions of a slot are ordered by their ids.
func (r SessionRecord) Newer(than SessionRecord) bool {
	return r.Session > than.Session || r.Session == than.Session && r.Request > than.Request
}

// RecordOf returns the session record that a Write makes.
func RecordOf(m *Message) SessionRecord {
	return SessionRecord{Session: m.Writer, Request: m.Request, Version: m.Version, Op: m.Op, KeyHash: m.KeyHash, Digest: m.Digest}
}

// Sessions holds a replica's session records. Record keeps the newest of each
// slot. As with a Store, the caller sees to concurrency.
type Sessions interface {
	Record(SessionRecord)
}

// SessionTable is Sessions in memory, by slot. It grows with the slots it sees.
type SessionTable map[int]SessionRecord

// Record keeps the record if it is newer than that of its slot.
func (t SessionTable) Record(r SessionRecord) {
	if slot := r.Session.Slot(); r.Newer(t[slot]) {
		t[slot] = r
	}
}

// Replica is a replica, and what it is a member of.
type Replica struct {
	// ID is 0 while the replica is no member: it refuses every message then.
	ID    ReplicaID
	Epoch Epoch
	// Fenced: the epoch is not open yet, and nothing of it is answered.
	Fenced bool
	Store  Store
	// Sessions may be nil where nobody will ever take over.
	Sessions Sessions
	// Every version up to Floor is settled: all members hold it, or a newer one of
	// its key, and its session record. When an epoch opens, all earlier ones are.
	Floor Version
	// Tombstones up to Collect may have been deleted, so a write up to it is old,
	// whatever is held of its key.
	Collect Version
}

// Refusal says why a replica ignored a message.
type Refusal uint8

// The refusals.
const (
	// NotRefused: the message was handled and has an answer.
	NotRefused Refusal = iota
	// RefusedEpoch: another epoch than the replica's.
	RefusedEpoch
	// RefusedReplica: addressed to another replica, or to an earlier membership.
	RefusedReplica
	// RefusedType: not a message for a replica.
	RefusedType
	// RefusedKey: no key, a key too long, or one whose hash is not KeyHash.
	RefusedKey
	// RefusedDigest: the payload was damaged on its way.
	RefusedDigest

	refusalCount
)

func (r Refusal) String() string {
	return nameOf([]string{"none", "epoch", "replica", "type", "key", "digest"}, int(r))
}

// Refusals returns every refusal.
func Refusals() []Refusal {
	var all []Refusal
	for r := RefusedEpoch; r < refusalCount; r++ {
		all = append(all, r)
	}
	return all
}

// Handle takes one message from the coordinator and returns its answer, which
// goes back to the address that the message came from. The answer's key and
// value may alias the message and the store.
func (r *Replica) Handle(m Message) (Message, Refusal) {
	switch {
	case m.Type != Write && m.Type != Read && m.Type != Probe:
		return Message{}, RefusedType
	case m.Type == Probe:
		return r.answerProbe(m), NotRefused
	case m.Epoch != r.Epoch || r.Fenced:
		return Message{}, RefusedEpoch
	case m.Replica != r.ID || r.ID == 0:
		return Message{}, RefusedReplica
	case len(m.Key) == 0 || len(m.Key) > MaxKeySize || KeyHash(m.Key) != m.KeyHash:
		return Message{}, RefusedKey
	case m.Type == Write && Digest(m.Key, m.Value) != m.Digest:
		return Message{}, RefusedDigest
	case m.Type == Write:
		return r.HandleWrite(m), NotRefused
	}
	return r.HandleRead(m), NotRefused
}

// HandleWrite applies a write if it is newer than what the replica holds of the
// key, and records it for its session. It is acknowledged either way: the
// acknowledgement says that the key's version here is at least the write's, and
// that the session's record is here.
func (r *Replica) HandleWrite(m Message) Message {
	if r.Collect.Less(m.Version) && r.Store.Get(m.Key).Version.Less(m.Version) {
		r.Store.Put(m.Key, Record{Version: m.Version, Writer: m.Writer, Request: m.Request, Op: m.Op, Digest: m.Digest, Value: m.Value})
	}
	if r.Sessions != nil {
		r.Sessions.Record(RecordOf(&m))
	}
	m.Type, m.Replica, m.Key, m.Value = WriteAck, r.ID, nil, nil
	return m
}

// HandleRead answers with what the replica holds of the key. Whether anybody
// may see it is for the gate to say.
func (r *Replica) HandleRead(m Message) Message {
	rec := r.Store.Get(m.Key)
	m.Type, m.Replica = ReadReply, r.ID
	m.Op, m.Version, m.Writer, m.Digest, m.Value = rec.Op, rec.Version, rec.Writer, rec.Digest, rec.Value
	return m
}

// answerProbe tells who the replica is, and its epoch.
func (r *Replica) answerProbe(m Message) Message {
	m.Type, m.Epoch, m.Replica, m.Key, m.Value = ProbeReply, r.Epoch, r.ID, nil, nil
	m.Status = StatusOK
	if r.Fenced || r.ID == 0 {
		m.Status = StatusBusy
	}
	return m
}

// Assign makes the replica a member under a new id, and says whether it did: it
// does not in an epoch before its own. What the store holds of an earlier
// membership must be gone by then, or be marked for Merge.
func (r *Replica) Assign(id ReplicaID, e Epoch, collect Version) bool {
	if e < r.Epoch {
		return false
	}
	r.ID, r.Epoch, r.Fenced, r.Floor, r.Collect = id, e, false, Version{Epoch: e}, collect
	return true
}

// Fence has the replica refuse all epochs before this one, and this one until it
// is opened. It says whether the replica is in that epoch now.
func (r *Replica) Fence(e Epoch) bool {
	if e > r.Epoch {
		r.Epoch, r.Fenced = e, true
	}
	return e == r.Epoch
}

// Open has the replica answer messages of the epoch that it is fenced for, when
// all that the members hold has been made the same.
func (r *Replica) Open(e Epoch) bool {
	if e != r.Epoch {
		return false
	}
	if r.Fenced {
		r.Fenced, r.Floor = false, Version{Epoch: e}
	}
	return true
}

// Settle raises the marks. Those of another epoch say nothing.
func (r *Replica) Settle(e Epoch, floor, collect Version) bool {
	if e != r.Epoch || r.Fenced {
		return false
	}
	if r.Floor.Less(floor) {
		r.Floor = floor
	}
	if r.Collect.Less(collect) {
		r.Collect = collect
	}
	return true
}

// Expel ends the membership under an id, if that is the replica's.
func (r *Replica) Expel(id ReplicaID) {
	if r.ID == id {
		r.ID = 0
	}
}

// Merge returns what a joining replica holds of a key, given what its source
// holds. What it got under its new id may be newer than the source's; what it has
// from before counts for nothing, though its version may be higher: that may be of
// a write which was never committed, and which others have superseded.
func Merge(held Record, sinceJoin bool, source Record) Record {
	if sinceJoin && source.Version.Less(held.Version) {
		return held
	}
	return source
}

// MemoryStore is a Store in a map. It copies what it is given.
type MemoryStore map[string]Record

// Get returns the key's record.
func (s MemoryStore) Get(key []byte) Record { return s[string(key)] }

// Put replaces the key's record.
func (s MemoryStore) Put(key []byte, r Record) {
	r.Value = append([]byte(nil), r.Value...)
	s[string(key)] = r
}

// Collect deletes the tombstones up to mark. Writes up to there are stale from
// then on: mark must be the replica's Collect.
func (s MemoryStore) Collect(mark Version) {
	for key, r := range s {
		if r.Op == OpDelete && !mark.Less(r.Version) {
			delete(s, key)
		}
	}
}
