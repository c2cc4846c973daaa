// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"dalio/impl/replica"
	"dalio/protocol"
)

// Pebble's memory. The cache is small because nothing is read but at the start.
const (
	cacheSize    = 8 << 20
	memTableSize = 16 << 20
)

// ErrDamaged is why the contents of a disk are set aside.
var ErrDamaged = errors.New("the disk is damaged")

// maxAside bounds how often damaged contents are set aside before somebody must
// look at them.
const maxAside = 8

// Open opens the store in a folder, which is made if it is missing. What is damaged
// there is moved aside, and the store begins empty.
func Open(dir string, o Options) (*Store, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	s, err := open(dir, o)
	if !errors.Is(err, ErrDamaged) {
		return s, err
	}
	aside, moveErr := setAside(dir, o.FS)
	if moveErr != nil {
		return nil, errors.Join(err, moveErr)
	}
	o.Logger.Error("what is on the disk is damaged and was moved aside; the replica joins as a new one", "dir", dir, "moved_to", aside, "error", err)
	if s, err = open(dir, o); err != nil {
		return nil, err
	}
	s.setAside = aside
	return s, nil
}

func setAside(dir string, files vfs.FS) (string, error) {
	for i := 1; i <= maxAside; i++ {
		to := files.PathJoin(dir, fmt.Sprint("db.damaged-", i))
		if _, err := files.Stat(to); err == nil {
			continue
		}
		// The name goes last: a folder with one and without a database is damaged.
		err := files.Rename(files.PathJoin(dir, "db"), to)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = files.Remove(files.PathJoin(dir, "NAME"))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("move the damaged contents of %s aside: %w", dir, err)
		}
		return to, syncDir(dir, files)
	}
	return "", fmt.Errorf("%s was damaged %d times already; look at its db.damaged-* folders and remove them", dir, maxAside)
}

// makeDir makes the folder and the one of the database in it, with all above them,
// so that a power loss leaves them there.
func makeDir(dir string, files vfs.FS) error {
	made := files.PathJoin(dir, "db")
	above := []string{files.PathDir(made), files.PathDir(dir)}
	for d := files.PathDir(dir); files.PathDir(d) != d; d = files.PathDir(d) {
		if _, err := files.Stat(d); err == nil {
			break
		}
		above = append(above, files.PathDir(d))
	}
	if err := files.MkdirAll(made, 0o755); err != nil {
		return fmt.Errorf("make the replica's folder: %w", err)
	}
	for _, d := range above {
		if err := syncDir(d, files); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(dir string, files vfs.FS) error {
	d, err := files.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// open returns ErrDamaged if there should be more than there is.
func open(dir string, o Options) (*Store, error) {
	if err := makeDir(dir, o.FS); err != nil {
		return nil, err
	}
	name, err := readName(dir, o.FS)
	if err != nil {
		return nil, err
	}
	s := &Store{journal: newJournal(dir, o.Logger), sessions: protocol.SessionTable{}, written: protocol.SessionTable{}}
	s.MemoryStore = replica.NewMirror(s.removed)
	cache := pebble.NewCache(cacheSize)
	defer cache.Unref() // The database has it.
	j := s.journal
	options := &pebble.Options{FS: o.FS, Cache: cache, MemTableSize: memTableSize, FormatMajorVersion: pebble.FormatNewest,
		ErrorIfNotExists: name != "", Logger: pebbleLogger{j},
		EventListener: &pebble.EventListener{BackgroundError: j.fail}}
	err = j.openAt(o.FS.PathJoin(dir, "db"), options)
	if err == nil && name == "" {
		// A log that is as old as the database is of a format that can't tell damage
		// from a crash; the next one is not.
		if err = j.db.Close(); err == nil {
			err = j.openAt(o.FS.PathJoin(dir, "db"), options)
		}
	}
	if err != nil {
		return nil, s.openFailed(err)
	}
	err = s.load(name)
	if err == nil {
		err = s.start(name, o.FS)
	}
	if err != nil {
		return nil, errors.Join(err, j.db.Close())
	}
	return s, nil
}

// openAt opens the database, which may end as Fatalf does.
func (j *journal) openAt(path string, o *pebble.Options) error {
	opened := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				opened <- fmt.Errorf("%v", p)
			}
		}()
		var err error
		j.db, err = pebble.Open(path, o)
		opened <- err
	}()
	select {
	case err := <-opened:
		return err
	case <-j.failed:
		return j.broken()
	}
}

func (s *Store) openFailed(err error) error {
	switch {
	case errors.Is(err, ErrDamaged):
		return err
	case pebble.IsCorruptionError(err) || errors.Is(err, pebble.ErrDBDoesNotExist) || errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the disk of %s %s: %w", s.journal.dir, isFull, err)
	}
	return fmt.Errorf("open the disk of %s (does another replica use it?): %w", s.journal.dir, err)
}

func readName(dir string, files vfs.FS) (string, error) {
	f, err := files.Open(files.PathJoin(dir, "NAME"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the name of the disk of %s: %w", dir, err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return "", fmt.Errorf("read the name of the disk of %s: %w", dir, err)
	}
	name := strings.TrimSpace(string(b))
	if name == "" {
		return "", fmt.Errorf("%w: its NAME is empty", ErrDamaged)
	}
	return name, nil
}

// load reads everything, and so finds what does not fit its checksum.
func (s *Store) load(name string) error {
	it, err := s.journal.db.NewIter(nil)
	if err != nil {
		return s.openFailed(err)
	}
	for it.First(); it.Valid() && err == nil; it.Next() {
		err = s.take(it.Key(), it.Value())
	}
	if err = errors.Join(err, it.Error(), it.Close()); err != nil {
		return s.openFailed(err)
	}
	// A disk whose first start was cut off has neither name nor contents.
	switch k := &s.kept; {
	case name != "" && k.Name != name:
		return fmt.Errorf("%w: it is named %q and its contents are of %q", ErrDamaged, name, k.Name)
	case k.Format > format:
		return fmt.Errorf("the disk of %s has format %d, and this program knows %d at most: use a later one", s.journal.dir, k.Format, format)
	}
	s.member = s.kept.Membership.ID
	if err := s.MemoryStore.Begin(s.member); err != nil {
		return err
	}
	for i := range replica.Stripes {
		s.Settle(i, s.kept.Membership.Floor)
	}
	return nil
}

// take takes one entry of the database. The membership comes first, by its key.
func (s *Store) take(key, value []byte) error {
	damaged := func(err error) error {
		if err != nil {
			err = fmt.Errorf("%w: key %q: %w", ErrDamaged, key, err)
		}
		return err
	}
	switch {
	case len(key) > 1 && key[0] == recordPrefix:
		r, member, err := decodeRecord(value)
		if err == nil {
			s.Restore(key[1:], r, member)
		}
		if err == nil && member == s.kept.Membership.ID {
			s.written.Record(protocol.SessionRecord{Session: r.Writer, Request: r.Request, Version: r.Version, Op: r.Op,
				KeyHash: protocol.KeyHash(key[1:]), Digest: r.Digest})
		}
		return damaged(err)
	case len(key) == 5 && key[0] == sessionPrefix:
		r, err := decodeSession(value)
		if err == nil {
			s.sessions.Record(r)
		}
		return damaged(err)
	case bytes.Equal(key, []byte{membershipPrefix}):
		return damaged(json.Unmarshal(value, &s.kept))
	}
	return damaged(errors.New("it is of no kind that is known"))
}

// completeSessions adds the session records that a crash came before: a record is
// written first. An epoch that is recovered from this disk commits such a write, so
// a retry must find it.
func (s *Store) completeSessions() {
	for slot, r := range s.written {
		if r.Newer(s.sessions[slot]) {
			s.sessions.Record(r)
			s.KeepSession(r)
		}
	}
	s.written = nil
}

// start counts the start, and names the disk when that is durable.
func (s *Store) start(name string, files vfs.FS) error {
	if s.kept.Name == "" {
		s.kept.Name = rand.Text()
	}
	s.kept.Format = format
	s.kept.Starts++
	s.journal.batch = s.journal.db.NewBatch()
	s.journal.change(func(b *pebble.Batch) error { return b.Set([]byte{membershipPrefix}, s.kept.encode(), nil) })
	s.completeSessions()
	if err := s.Sync(); err != nil || name != "" {
		return err
	}
	path := files.PathJoin(s.journal.dir, "NAME")
	f, err := files.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write([]byte(s.kept.Name + "\n"))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = files.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(s.journal.dir, files)
	}
	if err != nil {
		return fmt.Errorf("name the disk of %s: %w", s.journal.dir, err)
	}
	return nil
}
