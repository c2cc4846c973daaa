// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"slices"

	"dalio/impl/replica/control"
	"dalio/protocol"
)

// Stripes is how many parts the keys fall into, by KeyHash(key) % Stripes. The
// server calls Get and Put of one part one at a time, and keeps what Get returned
// only until it calls Put of that part; a Store needs no locks for what it keeps
// apart by stripe, and may write over a value in place.
const Stripes = 256

// Store holds a replica's records, and knows under which membership each of them
// came here. What came before the present one is hidden from Get and Put: it may
// never have been committed. All methods with a stripe are called with that
// stripe to themselves, Begin with all of them.
type Store interface {
	protocol.Store
	// Begin begins a membership. A volatile store forgets everything.
	Begin(id protocol.ReplicaID) error
	// Merge replaces what is held of a key by what a source holds of it, as
	// protocol.Merge says, and returns whether that changed anything. A record
	// with OpNone says that the source holds nothing.
	Merge(stripe int, key []byte, source protocol.Record) (changed bool)
	// Each visits the records of a stripe, in no order, until the visit returns
	// false. Earlier says that one is from before the present membership. What is
	// visited is valid during the visit.
	Each(stripe int, visit func(key string, r protocol.Record, earlier bool) bool)
	// Recent visits the records of a stripe that were put since they were last
	// settled, and Settle forgets that of those up to the version.
	Recent(stripe int, visit func(key string, r protocol.Record) bool)
	Settle(stripe int, floor protocol.Version)
	// Collect deletes the tombstones up to the version.
	Collect(stripe int, mark protocol.Version)
	// Size counts the records of a stripe, and the bytes of their keys and values.
	Size(stripe int) (records int, bytes int64)
}

// Syncer is a [Store] that keeps records beyond the process's life.
//
// The server calls Sync after each batch with writes, and sends their
// acknowledgements only after it returns. Sync must not return nil before every
// record that a Get or a Put has shown to anybody is durable: a stale write is
// acknowledged too, on the strength of a newer one that another worker stored.
// A Put that fails must make every later Sync fail; the server then stops, for
// it can acknowledge nothing any more.
type Syncer interface {
	Store
	Sync() error
}

// Keeper is a [Syncer] that keeps what the replica is, too. What is on disk is at
// any time what the store held at some moment, never some of it from before and
// some from after: what is given to it becomes durable in the order given, and
// Sync waits for all of it.
type Keeper interface {
	Syncer
	// Kept returns what was on the disk when it was opened.
	Kept() (Membership, []protocol.SessionRecord)
	// Keep takes note of a membership, KeepSession of a session record, and
	// ForgetSessions forgets all of those.
	Keep(Membership)
	KeepSession(protocol.SessionRecord)
	ForgetSessions()
	// Failed is closed when the disk has failed; Sync returns why from then on.
	Failed() <-chan struct{}
	// Disk tells of the disk.
	Disk() control.Disk
}

// Membership is what a replica must remember of its membership.
type Membership struct {
	Shard string
	// ID is 0 for none; LastID is the last one there was.
	ID, LastID protocol.ReplicaID
	Epoch      protocol.Epoch
	// Floor and Collect are those of protocol.Replica.
	Floor, Collect protocol.Version
}

// MemoryStore is a volatile store; a replica that restarts with it has forgotten
// everything, and must not return under its old id. Its maps and values are
// reused, so writing a key again costs no allocation.
type MemoryStore struct {
	stripes [Stripes]memoryStripe
	member  protocol.ReplicaID
	// kept: something else keeps what is here. Begin forgets nothing then, and
	// removed is told of each record that goes.
	kept    bool
	removed func(key string)
}

// memoryStripe is one part of a MemoryStore.
type memoryStripe struct {
	records map[string]*memoryRecord
	// recent and deleted have the records that are marked so; deleted may have
	// some that have been put again.
	recent, deleted []*memoryRecord
	bytes           int64
}

type memoryRecord struct {
	protocol.Record
	key     string
	member  protocol.ReplicaID
	recent  bool
	deleted bool
	// gone: it is in a list, but no longer in the map.
	gone bool
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	s := &MemoryStore{}
	s.clear()
	return s
}

// NewMirror returns a MemoryStore of what something else keeps: Begin forgets
// nothing, and removed is called for each record that Merge or Collect removes,
// while its stripe is locked.
func NewMirror(removed func(key string)) *MemoryStore {
	s := NewMemoryStore()
	s.kept, s.removed = true, removed
	return s
}

// Restore puts a record that came under a membership, which may be an earlier one.
func (s *MemoryStore) Restore(key []byte, r protocol.Record, member protocol.ReplicaID) {
	s.stripe(key).put(key, r, member)
}

func (s *MemoryStore) clear() {
	for i := range s.stripes {
		s.stripes[i] = memoryStripe{records: make(map[string]*memoryRecord)}
	}
}

// Begin begins a membership, with nothing.
func (s *MemoryStore) Begin(id protocol.ReplicaID) error {
	if !s.kept {
		s.clear()
	}
	s.member = id
	return nil
}

// Get returns the key's record; its value is valid until the key's next Put.
func (s *MemoryStore) Get(key []byte) protocol.Record {
	if r := s.stripe(key).records[string(key)]; r != nil && r.member == s.member {
		return r.Record
	}
	return protocol.Record{}
}

// Put replaces the key's record.
func (s *MemoryStore) Put(key []byte, r protocol.Record) { s.stripe(key).put(key, r, s.member) }

func (s *MemoryStore) stripe(key []byte) *memoryStripe { return &s.stripes[StripeOf(key)] }

// StripeOf returns the stripe of a key.
func StripeOf(key []byte) int { return int(protocol.KeyHash(key) % Stripes) }

func (s *memoryStripe) put(key []byte, r protocol.Record, member protocol.ReplicaID) {
	old := s.records[string(key)]
	if old == nil {
		old = &memoryRecord{key: string(key)}
		s.records[old.key] = old
		s.bytes += int64(len(key))
	}
	s.bytes += int64(len(r.Value) - len(old.Value))
	r.Value = append(old.Value[:0], r.Value...)
	old.Record, old.member = r, member
	if !old.recent {
		old.recent = true
		s.recent = append(s.recent, old)
	}
	if r.Op == protocol.OpDelete && !old.deleted {
		old.deleted = true
		s.deleted = append(s.deleted, old)
	}
}

func (s *MemoryStore) remove(part *memoryStripe, r *memoryRecord) {
	r.gone = true
	part.bytes -= int64(len(r.key) + len(r.Value))
	delete(part.records, r.key)
	if s.removed != nil {
		s.removed(r.key)
	}
}

// Merge takes over what a source holds of a key.
func (s *MemoryStore) Merge(stripe int, key []byte, source protocol.Record) (changed bool) {
	part := &s.stripes[stripe]
	held := part.records[string(key)]
	switch {
	case held == nil && source.Op == protocol.OpNone:
		return false
	case held == nil:
	case held.member == s.member && !held.Version.Less(source.Version):
		return false
	case source.Op == protocol.OpNone:
		s.remove(part, held)
		return true
	}
	part.put(key, source, s.member)
	return true
}

// Each visits the records of a stripe.
func (s *MemoryStore) Each(stripe int, visit func(key string, r protocol.Record, earlier bool) bool) {
	for key, r := range s.stripes[stripe].records {
		if !visit(key, r.Record, r.member != s.member) {
			return
		}
	}
}

// Recent visits the records of a stripe that are not known to be settled.
func (s *MemoryStore) Recent(stripe int, visit func(key string, r protocol.Record) bool) {
	for _, r := range s.stripes[stripe].recent {
		if !r.gone && r.member == s.member && !visit(r.key, r.Record) {
			return
		}
	}
}

// Settle takes note that the versions up to floor are settled.
func (s *MemoryStore) Settle(stripe int, floor protocol.Version) {
	part := &s.stripes[stripe]
	part.recent = slices.DeleteFunc(part.recent, func(r *memoryRecord) bool {
		r.recent = !r.gone && floor.Less(r.Version)
		return !r.recent
	})
}

// Collect deletes the tombstones up to the mark.
func (s *MemoryStore) Collect(stripe int, mark protocol.Version) {
	part := &s.stripes[stripe]
	part.deleted = slices.DeleteFunc(part.deleted, func(r *memoryRecord) bool {
		r.deleted = !r.gone && r.Op == protocol.OpDelete
		if r.deleted && !mark.Less(r.Version) {
			s.remove(part, r)
			r.deleted = false
		}
		return !r.deleted
	})
}

// Size counts the records of a stripe, and their bytes.
func (s *MemoryStore) Size(stripe int) (records int, bytes int64) {
	return len(s.stripes[stripe].records), s.stripes[stripe].bytes
}
