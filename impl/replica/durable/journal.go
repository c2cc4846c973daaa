// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"dalio/impl/internal/failpoint"
)

// journalBound bounds the changes that wait for a Sync, in bytes: a catch-up makes
// many without asking for one.
const journalBound = 4 << 20

// isFull is what is the matter with a disk, and what to do.
const isFull = "is full; make room and start the replica again"

// fsync lets a sync fail, as that of a broken disk does.
var fsync = failpoint.New("replica.fsync")

// journal writes changes to the database in the order in which they are given.
type journal struct {
	dir string
	log *slog.Logger
	db  *pebble.DB

	mu sync.Mutex
	// batch has the changes that nobody has begun to commit, the last of which is
	// the one numbered given.
	batch *pebble.Batch
	given uint64

	// committing is held by whoever commits. Changes up to synced are durable.
	committing sync.Mutex
	synced     uint64

	failOnce sync.Once
	failure  error
	failed   chan struct{}

	syncs, syncTime, bytes, errors atomic.Uint64
}

func newJournal(dir string, log *slog.Logger) *journal {
	return &journal{dir: dir, log: log, failed: make(chan struct{})}
}

// change adds a change, which is durable after the next Sync.
func (j *journal) change(add func(*pebble.Batch) error) {
	j.mu.Lock()
	if err := add(j.batch); err != nil {
		j.fail(err)
	}
	j.given++
	full := j.batch.Len() >= journalBound
	j.mu.Unlock()
	if full {
		_ = j.sync() // If it fails, all later ones do.
	}
}

// sync returns when all changes given before are durable. Those of others that
// wait meanwhile become so with one fsync.
func (j *journal) sync() error {
	j.mu.Lock()
	want := j.given
	j.mu.Unlock()
	j.committing.Lock()
	defer j.committing.Unlock()
	if err := j.broken(); err != nil {
		return err
	}
	if j.synced >= want {
		return nil
	}
	j.mu.Lock()
	batch, upTo := j.batch, j.given
	j.batch = j.db.NewBatch()
	j.mu.Unlock()
	began := time.Now()
	if err := j.commit(batch); err != nil {
		return err
	}
	j.syncs.Add(1)
	j.syncTime.Add(uint64(time.Since(began)))
	j.bytes.Add(uint64(batch.Len()))
	j.synced = upTo
	_ = batch.Close() // It has been applied: its memory is given back.
	return nil
}

// commit writes the batch and waits for the disk. Pebble does not come back from a
// failed write, so the wait must end without it.
func (j *journal) commit(batch *pebble.Batch) error {
	if err := fsync.Hit(); err != nil {
		j.fail(err)
		return j.broken()
	}
	done := make(chan struct{})
	go func() {
		defer func() {
			if p := recover(); p != nil {
				j.fail(fmt.Errorf("%v", p))
			}
		}()
		if err := batch.Commit(pebble.Sync); err != nil {
			j.fail(err)
			return
		}
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-j.failed:
		return j.broken()
	}
}

// fail takes note of the first thing that the disk failed at. Nothing is durable
// from then on.
func (j *journal) fail(err error) {
	j.errors.Add(1)
	j.failOnce.Do(func() {
		what := "failed"
		if errors.Is(err, syscall.ENOSPC) {
			what = isFull
		}
		j.failure = fmt.Errorf("the disk of %s %s: %w", j.dir, what, err)
		j.log.Error("the disk failed; nothing more is acknowledged", "dir", j.dir, "error", err)
		close(j.failed)
	})
}

func (j *journal) broken() error {
	select {
	case <-j.failed:
		return j.failure
	default:
		return nil
	}
}

// pebbleLogger has Pebble tell what it fails at.
type pebbleLogger struct{ *journal }

func (l pebbleLogger) Infof(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }

func (l pebbleLogger) Errorf(format string, args ...any) { l.log.Warn(fmt.Sprintf(format, args...)) }

// Fatalf must not return.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, a := range args {
		if cause, ok := a.(error); ok {
			err = cause
		}
	}
	l.fail(err)
	runtime.Goexit()
}
