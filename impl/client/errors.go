// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"time"

	"dalio/protocol"
)

// The outcomes of operations that failed. An operation's error is one of these;
// ErrNotDone and ErrUnknown come in an *Error with a cause.
var (
	// ErrNotFound: the key is absent. Only Get returns it.
	ErrNotFound = errors.New("key not found")
	// ErrNotDone: the operation has not taken effect and never will.
	ErrNotDone = errors.New("did not happen")
	// ErrUnknown: the write may have taken effect, or may yet.
	ErrUnknown = errors.New("unknown outcome")
)

// The causes, which errors.Is finds beside the outcome; context.DeadlineExceeded
// and context.Canceled are there too where they apply.
var (
	// ErrNoAnswer: the last request that was sent has had no answer.
	ErrNoAnswer = errors.New("no answer")
	// ErrBusy: the coordinator had no room for a session or a write, or no
	// replica may serve reads. Try again later.
	ErrBusy = errors.New("the coordinator is busy")
	// ErrTooFew: the shard has fewer members than it must have to take new writes.
	// The write may be taken when a replica is back.
	ErrTooFew = errors.New("the shard has too few replicas for new writes")
	// ErrExpired: the coordinator no longer knows the session. It has been
	// restarted, or its session TTL is shorter than Options.SessionIdle allows for.
	ErrExpired = errors.New("the coordinator does not know the session")
	// ErrRefused: the coordinator holds another write under the same request id,
	// which is a bug in this package.
	ErrRefused = errors.New("the coordinator refused the request id")
	// ErrTooMany: Options.MaxInFlight operations were in flight all the time.
	ErrTooMany = errors.New("too many operations in flight")
	// ErrTooLarge: key and value do not fit one frame. Nothing was sent.
	ErrTooLarge = protocol.ErrTooLarge
	// ErrEmptyKey: a key has at least one byte. Nothing was sent.
	ErrEmptyKey = protocol.ErrEmptyKey
	// ErrClosed: the client is closed, or its socket has failed.
	ErrClosed = errors.New("client closed")
)

// Error is why and how an operation failed.
type Error struct {
	// Outcome is ErrNotDone or ErrUnknown.
	Outcome error
	// Causes are what is known about why, the most telling first.
	Causes []error
	// Tries is how often the coordinator was asked, and Elapsed the time that took.
	Tries   int
	Elapsed time.Duration
}

func (e *Error) Error() string {
	tries := "tries"
	if e.Tries == 1 {
		tries = "try"
	}
	if e.Tries == 0 {
		return fmt.Sprintf("%v: %v", e.Outcome, e.Causes[0])
	}
	return fmt.Sprintf("%v after %d %s in %v: %v", e.Outcome, e.Tries, tries, e.Elapsed.Round(time.Millisecond), e.Causes[0])
}

// Unwrap returns the outcome and the causes.
func (e *Error) Unwrap() []error { return append([]error{e.Outcome}, e.Causes...) }

// causeOf returns what a status other than OK says.
func causeOf(s protocol.Status) error {
	switch s {
	case protocol.StatusBusy:
		return ErrBusy
	case protocol.StatusTooFew:
		return ErrTooFew
	case protocol.StatusExpired:
		return ErrExpired
	case protocol.StatusRefused:
		return ErrRefused
	}
	return ErrNoAnswer
}
