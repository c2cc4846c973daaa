// SPDX-License-Identifier: Apache-2.0

package traces

import "fmt"

// The types of an event.
const (
	Invoke = "invoke" // the operation was asked for
	OK     = "ok"     // it happened
	Fail   = "fail"   // it certainly did not happen
	Info   = "info"   // unknown: it may take effect at any later time
)

// The operations.
const (
	Read   = "read"
	Write  = "write"
	Delete = "delete"
)

// Event is one line of a history.
type Event struct {
	Process int
	Type    string
	F       string
	Key     string
	Value   *string // nil is JSON's null: no value, or an absent key
	Time    int64   // nanoseconds of the run's one monotonic clock
	Line    int     // where it was read; not part of the history
	// Version is what the system says the operation wrote or read, nil if it says
	// nothing. It is no part of what happened: nothing that is wrong without it can
	// be right with it.
	Version *Version
}

// Version tells which of a key's writes came first: the one whose epoch is less or,
// of the same epoch, whose seq is. The zero version stands for the time before the
// key's first write.
type Version struct{ Epoch, Seq uint64 }

// Less says whether v comes before w.
func (v Version) Less(w Version) bool {
	return v.Epoch < w.Epoch || v.Epoch == w.Epoch && v.Seq < w.Seq
}

// Error says where a history is unreadable, why, and what to do about it.
type Error struct {
	File string
	Line int // zero when no single line is at fault
	Msg  string
}

// Error formats the error as file:line: message.
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

// Source is a history being read, whatever its format.
type Source interface {
	// Next returns the next event, or io.EOF after the last one. Any other
	// error is final.
	Next() (Event, error)
}
