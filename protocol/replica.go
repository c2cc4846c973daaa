// SPDX-License-Identifier: Apache-2.0

package protocol

// Record is what a replica holds of one key. A deleted key keeps a record, its
// tombstone, whose version refuses older writes that arrive late.
type Record struct {
	Version Version
	// Writer is the session that wrote the version; a read's answer carries
	// it, because the gate finds a version by its writer's slot.
	Writer SessionID
	Op     Op
	Digest uint32
	Value  []byte
}

// Store holds a replica's records. Get returns the zero Record for a key never
// written. The caller of HandleWrite sees to it that no two writes of one key
// run at once; a Store may keep the slices it is given only as copies.
type Store interface {
	Get(key []byte) Record
	Put(key []byte, r Record)
}

// Replica is one membership of a replica.
type Replica struct {
	ID    ReplicaID
	Epoch Epoch
	Store Store
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
	case m.Type != Write && m.Type != Read:
		return Message{}, RefusedType
	case m.Epoch != r.Epoch:
		return Message{}, RefusedEpoch
	case m.Replica != r.ID:
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
// key. It is acknowledged either way: the acknowledgement says that the key's
// version here is at least the write's.
func (r *Replica) HandleWrite(m Message) Message {
	if r.Store.Get(m.Key).Version.Less(m.Version) {
		r.Store.Put(m.Key, Record{Version: m.Version, Writer: m.Writer, Op: m.Op, Digest: m.Digest, Value: m.Value})
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

// MemoryStore is a Store in a map. It copies what it is given.
type MemoryStore map[string]Record

// Get returns the key's record.
func (s MemoryStore) Get(key []byte) Record { return s[string(key)] }

// Put replaces the key's record.
func (s MemoryStore) Put(key []byte, r Record) {
	r.Value = append([]byte(nil), r.Value...)
	s[string(key)] = r
}
