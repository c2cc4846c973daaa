// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"dalio/impl/replica"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// Workers is how many workers a replica with a disk should have: while some wait for
// it, others take the writes that the next sync makes durable.
const Workers = 4

// Options of a store.
type Options struct {
	// FS is where the folder is, the machine's file system if nil.
	FS vfs.FS
	// Logger is silent if nil.
	Logger *slog.Logger
}

// Store is a replica.Keeper. Its methods may be called as those of a
// replica.Store; Sync, KeepSession and Disk by anybody at any time.
type Store struct {
	*replica.MemoryStore
	journal  *journal
	setAside string
	// sessions are those that were on the disk, and written those of the writers of
	// the records there.
	sessions, written protocol.SessionTable

	// member is guarded by the caller of Begin.
	member protocol.ReplicaID

	// keptMu guards kept, and sessions once the store is open.
	keptMu sync.Mutex
	kept   kept
}

var _ replica.Keeper = (*Store)(nil)

// Begin begins a membership, and forgets nothing: what is from before is hidden
// until Merge settles it.
func (s *Store) Begin(id protocol.ReplicaID) error {
	s.member = id
	return s.MemoryStore.Begin(id)
}

// Put replaces the key's record.
func (s *Store) Put(key []byte, r protocol.Record) {
	s.MemoryStore.Put(key, r)
	s.write(key, r)
}

// Merge takes over what a source holds of a key.
func (s *Store) Merge(stripe int, key []byte, source protocol.Record) bool {
	changed := s.MemoryStore.Merge(stripe, key, source)
	if changed && source.Op != protocol.OpNone {
		s.write(key, source)
	}
	return changed
}

func (s *Store) write(key []byte, r protocol.Record) {
	k, v := recordKey(key), encodeRecord(r, s.member)
	s.journal.change(func(b *pebble.Batch) error { return b.Set(k, v, nil) })
}

func (s *Store) removed(key string) {
	k := recordKey(key)
	s.journal.change(func(b *pebble.Batch) error { return b.Delete(k, nil) })
}

// Sync returns when all that was put, merged, collected or kept before is durable.
func (s *Store) Sync() error { return s.journal.sync() }

// Kept returns what was on the disk when it was opened, to its first caller.
func (s *Store) Kept() (replica.Membership, []protocol.SessionRecord) {
	s.keptMu.Lock()
	defer s.keptMu.Unlock()
	sessions := slices.Collect(maps.Values(s.sessions))
	s.sessions = nil
	return s.kept.Membership, sessions
}

// Keep takes note of the replica's membership.
func (s *Store) Keep(m replica.Membership) {
	s.keptMu.Lock()
	defer s.keptMu.Unlock()
	if s.kept.Membership == m {
		return
	}
	s.kept.Membership = m
	s.journal.change(func(b *pebble.Batch) error { return b.Set([]byte{membershipPrefix}, s.kept.encode(), nil) })
}

// KeepSession takes note of a session record, in place of that of its slot.
func (s *Store) KeepSession(r protocol.SessionRecord) {
	k, v := sessionKey(r), encodeSession(r)
	s.journal.change(func(b *pebble.Batch) error { return b.Set(k, v, nil) })
}

// ForgetSessions forgets all session records.
func (s *Store) ForgetSessions() {
	s.journal.change(func(b *pebble.Batch) error {
		return b.DeleteRange([]byte{sessionPrefix}, []byte{sessionPrefix + 1}, nil)
	})
}

// Failed is closed when the disk has failed.
func (s *Store) Failed() <-chan struct{} { return s.journal.failed }

// Disk tells of the disk.
func (s *Store) Disk() control.Disk {
	s.keptMu.Lock()
	defer s.keptMu.Unlock()
	j := s.journal
	return control.Disk{Name: s.kept.Name, Starts: s.kept.Starts, SetAside: s.setAside,
		Syncs: j.syncs.Load(), SyncTime: j.syncTime.Load(), Bytes: j.bytes.Load(), Errors: j.errors.Load()}
}

// Close makes everything durable and gives the folder free. It returns what the
// disk failed at, if it did.
func (s *Store) Close() (err error) {
	broken := s.Sync()
	// Pebble may panic when it closes what it could not write.
	defer func() {
		if p := recover(); p != nil {
			err = errors.Join(broken, fmt.Errorf("close the disk of %s: %v", s.journal.dir, p))
		}
	}()
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	_ = s.journal.batch.Close() // It is empty, or lost.
	if err := s.journal.db.Close(); err != nil && broken == nil {
		return fmt.Errorf("close the disk of %s: %w", s.journal.dir, err)
	}
	return broken
}
