// SPDX-License-Identifier: Apache-2.0

package replica

import "dalio/protocol"

// Stripes is how many parts the keys fall into, by KeyHash(key) % Stripes. The
// server calls Get and Put of one part one at a time, and keeps what Get returned
// only until it calls Put of that part; a Store needs no locks for what it keeps
// apart by stripe, and may write over a value in place.
const Stripes = 256

// Syncer is a [protocol.Store] that keeps records beyond the process's life.
//
// The server calls Sync after each batch with writes, and sends their
// acknowledgements only after it returns. Sync must not return nil before every
// record that a Get or a Put has shown to anybody is durable: a stale write is
// acknowledged too, on the strength of a newer one that another worker stored.
// A Put that fails must make every later Sync fail; the server then stops, for
// it can acknowledge nothing any more.
type Syncer interface {
	protocol.Store
	Sync() error
}

// MemoryStore is a volatile store; a replica that restarts with it has forgotten
// everything, and must not return under its old id. Its maps and values are
// reused, so writing a key again costs no allocation.
type MemoryStore struct {
	stripes [Stripes]map[string]*protocol.Record
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	s := &MemoryStore{}
	for i := range s.stripes {
		s.stripes[i] = make(map[string]*protocol.Record)
	}
	return s
}

// Get returns the key's record; its value is valid until the key's next Put.
func (s *MemoryStore) Get(key []byte) protocol.Record {
	if r := s.stripe(key)[string(key)]; r != nil {
		return *r
	}
	return protocol.Record{}
}

// Put replaces the key's record.
func (s *MemoryStore) Put(key []byte, r protocol.Record) {
	stripe := s.stripe(key)
	old := stripe[string(key)]
	if old == nil {
		old = new(protocol.Record)
		stripe[string(key)] = old
	}
	r.Value = append(old.Value[:0], r.Value...)
	*old = r
}

func (s *MemoryStore) stripe(key []byte) map[string]*protocol.Record {
	return s.stripes[protocol.KeyHash(key)%Stripes]
}
