// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"dalio/impl/internal/failpoint"
	"dalio/impl/replica"
	"dalio/impl/replica/durable"
	"dalio/protocol"
)

// writes fill two blocks of the log at least: damage in the last one, of 32 KiB,
// can't be told from a crash in the midst of writing it.
const writes = 250

// written is a folder with a store in which that many writes are durable.
func written(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	s, err := durable.Open(folder, durable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Keep(replica.Membership{ID: 16, LastID: 16, Epoch: 1})
	_ = s.Begin(16)
	for seq := uint64(1); seq <= writes; seq++ {
		s.Put([]byte{byte(seq)}, record(seq, strings.Repeat("x", 200)))
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return folder
}

func count(s replica.Store) (n int) {
	for i := range replica.Stripes {
		records, _ := s.Size(i)
		n += records
	}
	return n
}

// largest returns the largest file of the database with a name like that.
func largest(t *testing.T, folder, pattern string) string {
	t.Helper()
	found, size := "", int64(-1)
	all, _ := filepath.Glob(filepath.Join(folder, "db", pattern))
	for _, path := range all {
		if info, err := os.Stat(path); err == nil && info.Size() > size {
			found, size = path, info.Size()
		}
	}
	if found == "" {
		t.Fatalf("no file %s in %s", pattern, folder)
	}
	return found
}

// TestDamageIsNoticed breaks a disk in each of several ways: all is there, or it is
// said that it is not, and what is left is kept aside.
func TestDamageIsNoticed(t *testing.T) {
	flip := func(pattern string, part int) func(*testing.T, string) {
		return func(t *testing.T, folder string) {
			path := largest(t, folder, pattern)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)*part/10] ^= 0x10
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(what func(t *testing.T, folder string) string) func(*testing.T, string) {
		return func(t *testing.T, folder string) {
			if err := os.RemoveAll(what(t, folder)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, damage := range map[string]func(*testing.T, string){
		"a bit early in the log":  flip("*.log", 2),
		"a bit in mid-log":        flip("*.log", 5),
		"the log is missing":      remove(func(t *testing.T, f string) string { return largest(t, f, "*.log") }),
		"the manifest is missing": remove(func(t *testing.T, f string) string { return largest(t, f, "MANIFEST-*") }),
		"the database is missing": remove(func(_ *testing.T, f string) string { return filepath.Join(f, "db") }),
		"another database":        func(t *testing.T, f string) { _ = os.WriteFile(filepath.Join(f, "NAME"), []byte("ANOTHER\n"), 0o644) },
		"the name is empty":       func(t *testing.T, f string) { _ = os.WriteFile(filepath.Join(f, "NAME"), nil, 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			folder := written(t)
			damage(t, folder)
			var said bytes.Buffer
			s, err := durable.Open(folder, durable.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			kept, _ := s.Kept()
			if s.Disk().SetAside == "" || kept.ID != 0 || count(s) != 0 {
				t.Fatalf("set aside %q, but member %d with %d records", s.Disk().SetAside, kept.ID, count(s))
			}
			if _, err := os.Stat(s.Disk().SetAside); err != nil && name != "the database is missing" {
				t.Errorf("what was damaged is not kept: %v", err)
			}
			if !strings.Contains(said.String(), "moved aside") {
				t.Errorf("it did not say what it did: %s", said.String())
			}
		})
	}
}

func TestWholeDiskComesBack(t *testing.T) {
	s, err := durable.Open(written(t), durable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	kept, _ := s.Kept()
	if d := s.Disk(); count(s) != writes || kept.ID != 16 || d.Starts != 2 || d.SetAside != "" || d.Name == "" {
		t.Errorf("%d records, kept %+v, disk %+v", count(s), kept, d)
	}
	if _, err := durable.Open(s.Disk().Name, durable.Options{FS: readOnly{vfs.Default}}); err == nil {
		t.Error("opened a folder that can't be made")
	}
}

type readOnly struct{ vfs.FS }

func (readOnly) MkdirAll(string, os.FileMode) error { return syscall.EROFS }

func TestTwoCannotShareADisk(t *testing.T) {
	folder := written(t)
	s, err := durable.Open(folder, durable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := durable.Open(folder, durable.Options{}); err == nil || !strings.Contains(err.Error(), "another replica") {
		t.Errorf("opened twice: %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "db.damaged-1")); err == nil {
		t.Error("the disk of a replica that runs was moved aside")
	}
}

// TestFailingDiskStopsAcknowledging lets the disk fail at some moment: every sync
// from then on fails, and what was durable is there after a restart.
func TestFailingDiskStopsAcknowledging(t *testing.T) {
	for name, cause := range map[string]error{"is full": syscall.ENOSPC, "failed": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			memory := vfs.NewCrashableMem()
			var mu sync.Mutex
			broken := false
			files := errorfs.Wrap(memory, errorfs.InjectorFunc(func(op errorfs.Op) error {
				mu.Lock()
				defer mu.Unlock()
				if broken && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					return cause
				}
				return nil
			}))
			s := open(t, files)
			_ = s.Begin(16)
			s.Put([]byte("k"), record(1, "v"))
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			broken = true
			mu.Unlock()
			s.Put([]byte("k"), record(2, "w"))
			for range 2 {
				if err := s.Sync(); !errors.Is(err, cause) || !strings.Contains(err.Error(), "the disk of "+dir+" "+name) {
					t.Fatalf("sync returned %v", err)
				}
			}
			<-s.Failed()
			if d := s.Disk(); d.Errors == 0 {
				t.Errorf("the disk is %+v", d)
			}
			again := open(t, memory.CrashClone(vfs.CrashCloneCfg{}))
			defer again.Close()
			if r := again.Get([]byte("k")); r.Version != (protocol.Version{}) && r.Version != at(1) {
				t.Errorf("after the restart it holds %+v", r)
			}
			if count(again) != 1 {
				t.Errorf("%d records after the restart", count(again))
			}
			if err := s.Close(); !errors.Is(err, cause) {
				t.Errorf("close returned %v", err)
			}
		})
	}
}

// TestDiskThatFailsIsNotDamaged opens a whole disk while it is full, or fails: what
// it holds stays where it is, and is there when it works again.
func TestDiskThatFailsIsNotDamaged(t *testing.T) {
	for kind, said := range map[errorfs.OpReadWrite]string{errorfs.OpIsWrite: "is full; make room", errorfs.OpIsRead: "input/output error"} {
		memory := vfs.NewMem()
		s := open(t, memory)
		s.Put([]byte("k"), record(1, "v"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		cause := map[errorfs.OpReadWrite]error{errorfs.OpIsWrite: syscall.ENOSPC, errorfs.OpIsRead: syscall.EIO}[kind]
		broken := false
		files := errorfs.Wrap(memory, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == kind && strings.Contains(op.Path, "db/") {
				broken = true
				return cause
			}
			return nil
		}))
		if s, err := durable.Open(dir, durable.Options{FS: files}); err == nil || !broken || !strings.Contains(err.Error(), said) {
			t.Errorf("%v: opened %v, with %v", cause, s, err)
		}
		again := open(t, memory)
		if d := again.Disk(); d.SetAside != "" || count(again) != 1 {
			t.Errorf("%v: when it works again it has %d records, and %+v", cause, count(again), d)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFsyncFails(t *testing.T) {
	t.Setenv(failpoint.Environment, "1")
	s := open(t, vfs.NewMem())
	if err := failpoint.Arm("replica.fsync", failpoint.Fail); err != nil {
		t.Fatal(err)
	}
	s.Put([]byte("k"), record(1, "v"))
	if err := s.Sync(); err == nil || !strings.Contains(err.Error(), "replica.fsync") {
		t.Errorf("sync returned %v", err)
	}
}

// TestSyncIsShared counts the syncs of many that write at once.
func TestSyncIsShared(t *testing.T) {
	s, err := durable.Open(t.TempDir(), durable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const writers, each = 16, 50
	var all sync.WaitGroup
	var locks [replica.Stripes]sync.Mutex
	for w := range writers {
		all.Go(func() {
			for i := range each {
				key := []byte{byte(w), byte(i)}
				stripe := replica.StripeOf(key)
				locks[stripe].Lock()
				s.Put(key, record(uint64(i+1), "v"))
				locks[stripe].Unlock()
				if err := s.Sync(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if d := s.Disk(); d.Syncs >= writers*each || d.Bytes == 0 || d.SyncTime == 0 {
		t.Errorf("%d writes were synced %d times: %+v", writers*each, d.Syncs, d)
	}
}
