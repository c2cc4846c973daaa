// SPDX-License-Identifier: Apache-2.0

package event

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Recorder writes the events of one teller. It is safe for concurrent use, and a nil
// Recorder records nothing. Errors stop it, and are returned by Flush and Close.
type Recorder struct {
	mu     sync.Mutex
	file   io.WriteCloser
	w      *bufio.Writer
	by     string
	now    func() time.Duration
	n      uint64
	buf    []byte
	err    error
	closed bool
}

// Create returns a Recorder that appends to a file, which others may append to as
// well: what Flush writes stays together. The name by must be the teller's alone,
// also among those before it that wrote to the file; now is CLOCK_MONOTONIC.
func Create(path, by string, now func() time.Duration) (*Recorder, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("record events: %w", err)
	}
	return NewRecorder(file, by, now), nil
}

// NewRecorder returns a Recorder that writes to w, which is the recorder's from then
// on.
func NewRecorder(w io.WriteCloser, by string, now func() time.Duration) *Recorder {
	return &Recorder{file: w, w: bufio.NewWriterSize(w, 1<<18), by: by, now: now}
}

// Record adds an event, of which it fills in the teller, the number, and the time.
func (r *Recorder) Record(e *Event) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	e.By, e.N, e.Time = r.by, r.n, int64(r.now())
	r.write(e)
}

// Add adds an event that is complete: of a teller whose events come from elsewhere.
func (r *Recorder) Add(e *Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.write(e)
}

func (r *Recorder) write(e *Event) {
	if r.err != nil {
		return
	}
	if r.closed {
		r.err = errors.New("record events: the recorder is closed")
		return
	}
	r.buf = AppendLine(r.buf[:0], e)
	if _, err := r.w.Write(r.buf); err != nil {
		r.err = fmt.Errorf("record events: %w", err)
	}
}

// Flush writes what has been recorded. Whoever does so before it sends a message
// leaves no message that nothing tells of, even if it is killed.
func (r *Recorder) Flush() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.w.Flush(); err != nil && r.err == nil {
		r.err = fmt.Errorf("record events: %w", err)
	}
	return r.err
}

// Close flushes, and returns the first error of the whole recording. If the recorder
// has told anything of its own, it tells that this is the end.
func (r *Recorder) Close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	told := r.n > 0
	r.mu.Unlock()
	if told {
		r.Record(&Event{Event: End})
	}
	err := r.Flush()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return errors.Join(err, r.file.Close())
}
