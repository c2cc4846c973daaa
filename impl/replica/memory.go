// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"slices"

	"dalio/protocol"
)

// MemoryStore is a volatile store; a replica that restarts with it has forgotten
// everything, and must not return under its old id. What a key takes up is reused, so
// writing it again costs no allocation.
//
// With many keys a replica's time goes by what the processor's caches do not have. So a
// record is one piece with its key and value, found by one look into an index, and
// [MemoryStore.Prefetch] has those of many messages come into the caches side by side.
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
	records index
	// recent and deleted have the records that are marked so, and may have some that
	// are gone; deleted may have some that have been put again.
	recent, deleted []*memoryRecord
	bytes           int64
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore { return &MemoryStore{} }

// NewMirror returns a MemoryStore of what something else keeps: Begin forgets
// nothing, and removed is called for each record that Merge or Collect removes,
// while its stripe is locked.
func NewMirror(removed func(key string)) *MemoryStore {
	return &MemoryStore{kept: true, removed: removed}
}

// Restore puts a record that came under a membership, which may be an earlier one.
func (s *MemoryStore) Restore(key []byte, r protocol.Record, member protocol.ReplicaID) {
	s.put(protocol.KeyHash(key), key, r, member)
}

// Begin begins a membership, with nothing.
func (s *MemoryStore) Begin(id protocol.ReplicaID) error {
	if !s.kept {
		s.stripes = [Stripes]memoryStripe{}
	}
	s.member = id
	return nil
}

// Get returns the key's record; its value is valid until the key's next Put.
func (s *MemoryStore) Get(key []byte) protocol.Record {
	if _, _, r := s.find(key); r != nil && r.member == s.member {
		return r.record()
	}
	return protocol.Record{}
}

// Put replaces the key's record.
func (s *MemoryStore) Put(key []byte, r protocol.Record) {
	s.put(protocol.KeyHash(key), key, r, s.member)
}

// Prefetch implements Prefetcher.
func (s *MemoryStore) Prefetch(hash uint64, look int) {
	s.stripes[hash%Stripes].records.prefetch(hash, look)
}

// StripeOf returns the stripe of a key.
func StripeOf(key []byte) int { return int(protocol.KeyHash(key) % Stripes) }

func (s *MemoryStore) find(key []byte) (*memoryStripe, uint64, *memoryRecord) {
	hash := protocol.KeyHash(key)
	part := &s.stripes[hash%Stripes]
	return part, hash, part.records.find(hash, key)
}

func (s *MemoryStore) put(hash uint64, key []byte, r protocol.Record, member protocol.ReplicaID) {
	part := &s.stripes[hash%Stripes]
	held := part.records.find(hash, key)
	if held == nil {
		part.bytes += int64(len(key))
	} else {
		part.bytes -= int64(held.valueLen)
	}
	part.bytes += int64(len(r.Value))
	if held == nil || !held.fits(r.Value) {
		larger := newMemoryRecord(key, r.Value)
		if held != nil {
			held.gone = true
		}
		part.records.put(hash, larger)
		held = larger
	}
	held.set(r, member)
	if !held.recent {
		held.recent = true
		part.recent = append(part.recent, held)
	}
	if r.Op == protocol.OpDelete && !held.deleted {
		held.deleted = true
		part.deleted = append(part.deleted, held)
	}
}

func (s *MemoryStore) remove(part *memoryStripe, hash uint64, r *memoryRecord) {
	r.gone = true
	part.bytes -= int64(r.keyLen) + int64(r.valueLen)
	part.records.remove(hash, r)
	if s.removed != nil {
		s.removed(r.key())
	}
}

// Merge takes over what a source holds of a key.
func (s *MemoryStore) Merge(_ int, key []byte, source protocol.Record) (changed bool) {
	part, hash, held := s.find(key)
	switch {
	case held == nil && source.Op == protocol.OpNone:
		return false
	case held == nil:
	case held.member == s.member && !held.version.Less(source.Version):
		return false
	case source.Op == protocol.OpNone:
		s.remove(part, hash, held)
		return true
	}
	s.put(hash, key, source, s.member)
	return true
}

// Each visits the records of a stripe.
func (s *MemoryStore) Each(stripe int, visit func(key string, r protocol.Record, earlier bool) bool) {
	for r := range s.stripes[stripe].records.all {
		if !visit(r.key(), r.record(), r.member != s.member) {
			return
		}
	}
}

// Recent visits the records of a stripe that are not known to be settled.
func (s *MemoryStore) Recent(stripe int, visit func(key string, r protocol.Record) bool) {
	for _, r := range s.stripes[stripe].recent {
		if !r.gone && r.member == s.member && !visit(r.key(), r.record()) {
			return
		}
	}
}

// Settle takes note that the versions up to floor are settled.
func (s *MemoryStore) Settle(stripe int, floor protocol.Version) {
	part := &s.stripes[stripe]
	part.recent = slices.DeleteFunc(part.recent, func(r *memoryRecord) bool {
		r.recent = !r.gone && floor.Less(r.version)
		return !r.recent
	})
}

// Collect deletes the tombstones up to the mark.
func (s *MemoryStore) Collect(stripe int, mark protocol.Version) {
	part := &s.stripes[stripe]
	part.deleted = slices.DeleteFunc(part.deleted, func(r *memoryRecord) bool {
		r.deleted = !r.gone && r.op == protocol.OpDelete
		if r.deleted && !mark.Less(r.version) {
			s.remove(part, protocol.KeyHash([]byte(r.key())), r)
			r.deleted = false
		}
		return !r.deleted
	})
}

// Size counts the records of a stripe, and their bytes.
func (s *MemoryStore) Size(stripe int) (records int, bytes int64) {
	return s.stripes[stripe].records.count, s.stripes[stripe].bytes
}
