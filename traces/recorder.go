// SPDX-License-Identifier: Apache-2.0

package traces

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// Recorder writes a history. It is safe for concurrent use: it reads one
// clock and appends the line under one lock, so lines are in time order.
//
// Invoke before a request leaves and Complete after its reply has arrived:
// then each recorded interval contains the real one, and a linearizable system
// cannot be recorded as anything else.
//
// Errors, also those of misuse, stop the recording and are returned by Close
// and Err. A history whose Close failed must not be judged.
type Recorder struct {
	mu    sync.Mutex
	w     *bufio.Writer
	now   func() int64
	rules *rules
	buf   []byte
	lines int
	err   error

	closed bool
}

// NewRecorder returns a Recorder that writes to w, with times in nanoseconds
// since this call. It does not close w.
func NewRecorder(w io.Writer) *Recorder {
	start := time.Now()
	return NewRecorderClock(w, func() int64 { return int64(time.Since(start)) })
}

// NewRecorderClock is NewRecorder with a clock of the caller's, for simulated
// time. The clock must not go backwards; it is called under the lock.
func NewRecorderClock(w io.Writer, now func() int64) *Recorder {
	return &Recorder{w: bufio.NewWriterSize(w, 1<<16), now: now, rules: newRules()}
}

// Invoke records that the process asks for an operation. The value is what a
// write writes, and nil for a read and a delete.
func (r *Recorder) Invoke(process int, f, key string, value *string) {
	if value != nil {
		written := *value // The caller may reuse its variable before the completion.
		value = &written
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record(Event{Process: process, Type: Invoke, F: f, Key: key, Value: value})
}

// Complete records how the process's open operation ended: OK, Fail or Info.
// The value is what an OK read returned, nil for an absent key; it is ignored
// for other operations, whose lines repeat the value of the invoke.
func (r *Recorder) Complete(process int, typ string, value *string) {
	r.CompleteVersion(process, typ, value, nil)
}

// CompleteVersion is Complete with the version that the system gave the write, or
// that it said the value read had; nil if it said nothing.
func (r *Recorder) CompleteVersion(process int, typ string, value *string, version *Version) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := Event{Process: process, Type: typ, Version: version}
	if p := r.rules.processes[process]; p != nil && p.open {
		e.F, e.Key, e.Value = p.f, p.key, p.value
	}
	if e.F == Read && typ == OK {
		e.Value = value
	}
	r.record(e)
}

// Flush hands what is buffered to the underlying writer.
func (r *Recorder) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.w.Flush(); err != nil && r.err == nil {
		r.err = fmt.Errorf("write history: %w", err)
	}
	return r.err
}

// Err returns the first error so far.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Lines returns how many lines were recorded.
func (r *Recorder) Lines() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines
}

// Close flushes and returns the first error of the whole recording. What is
// recorded after Close is lost, and Err says so. Operations still open are of
// unknown outcome to a reader.
func (r *Recorder) Close() error {
	err := r.Flush()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return err
}

func (r *Recorder) record(e Event) {
	if r.err != nil {
		return
	}
	if r.closed {
		r.err = errors.New("record history: the recorder is closed, the line is lost")
		return
	}
	e.Time = r.now()
	e.Line = r.lines + 1
	err := r.rules.accept(e)
	if err == nil {
		r.buf, err = AppendLine(r.buf[:0], e)
	}
	if err == nil {
		_, err = r.w.Write(r.buf)
	}
	if err != nil {
		r.err = fmt.Errorf("record line %d of the history: %w", e.Line, err)
		return
	}
	r.lines++
}

// AppendLine appends the event to b as one line of a history.
func AppendLine(b []byte, e Event) ([]byte, error) {
	start := len(b)
	b = append(b, `{"process":`...)
	b = strconv.AppendInt(b, int64(e.Process), 10)
	b = append(b, `,"type":"`...)
	b = append(b, e.Type...)
	b = append(b, `","f":"`...)
	b = append(b, e.F...)
	b = append(b, `","key":`...)
	b, err := appendString(b, e.Key)
	if err != nil {
		return nil, err
	}
	b = append(b, `,"value":`...)
	if e.Value == nil {
		b = append(b, "null"...)
	} else if b, err = appendString(b, *e.Value); err != nil {
		return nil, err
	}
	b = append(b, `,"time":`...)
	b = strconv.AppendInt(b, e.Time, 10)
	if v := e.Version; v != nil {
		b = strconv.AppendUint(append(b, `,"version":[`...), v.Epoch, 10)
		b = strconv.AppendUint(append(b, ','), v.Seq, 10)
		b = append(b, ']')
	}
	b = append(b, "}\n"...)
	if len(b)-start > MaxLine {
		return nil, fmt.Errorf("the line would be longer than %d bytes: record a digest of such values", MaxLine)
	}
	return b, nil
}

func appendString(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("%q is not valid UTF-8: record an encoding of it, such as hex or base64", s)
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				return nil, fmt.Errorf("encode %q: %w", s, err)
			}
			return append(b, quoted...), nil
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"'), nil
}
