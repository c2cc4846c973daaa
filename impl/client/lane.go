// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"dalio/protocol"
)

const (
	// stride is the distance of a lane's request ids: id = count*stride + index,
	// so that an answer's id names its lane. Being a prime above any number of
	// replicas, it leaves a lane's reads to go round all of them.
	stride = 65537
	// maxLanes is how many indices there are.
	maxLanes = 65536
)

// lane is a place for one operation at a time, and holds a protocol.Session,
// which says what to send and what an answer means. Its owner is the goroutine
// of the operation; the receiving goroutine hands it answers.
type lane struct {
	client *Client
	index  uint64
	// name is the lane's in an event trace.
	name  string
	trips *roundTrips
	// wake gets an entry when an operation is settled, and timer is the owner's.
	wake  chan struct{}
	timer *time.Timer
	// idleSince is when the lane came back to its pool.
	idleSince time.Time

	mu         sync.Mutex
	session    protocol.Session
	count      uint64
	key, value []byte
	operation  operation
}

// operation is the state of the lane's operation. All of it is reset by begin.
type operation struct {
	result  protocol.Result
	retries int
	// The first message with the request itself, and the last, to measure trips.
	first, last sending
	cause       error
	response    Response
}

type sending struct {
	attempt uint8
	at      time.Time
}

func newLane(c *Client, index int, trips *roundTrips) *lane {
	l := &lane{client: c, index: uint64(index), trips: trips, wake: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	l.timer.Stop()
	if c.options.Events != nil {
		l.name = nameOf(c.packets, index)
	}
	// A client that starts anew on an old port must not take an answer to its
	// predecessor for one to itself, so ids do not start at 1.
	l.count = rand.Uint64() >> 18
	return l
}

// begin invokes an operation and enqueues its first message.
func (l *lane) begin(r *Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	id := l.count*stride + l.index
	l.key = append(l.key[:0], r.Key...)
	l.value = append(l.value[:0], r.Value...)
	l.operation = operation{cause: ErrNoAnswer}
	var m protocol.Message
	invoked := "InvokeRead"
	if r.Op == protocol.OpNone {
		m = l.session.InvokeRead(id, l.key)
	} else {
		invoked, m = "InvokeWrite", l.session.InvokeWrite(id, l.newNonce(), r.Op, l.key, l.value)
	}
	l.operation.response.Request = id
	l.tellInvoked(invoked, r.Op, &m)
	l.enqueue(&m)
}

// newNonce returns a random nonce that names the lane, as request ids do.
func (l *lane) newNonce() uint64 {
	for {
		r := rand.Uint64() >> 1
		if nonce := r - r%stride + l.index; nonce != 0 {
			return nonce
		}
	}
}

func (l *lane) enqueue(m *protocol.Message) {
	o := &l.operation
	o.last = sending{m.Attempt, time.Now()}
	if o.first.at.IsZero() && m.Type != protocol.OpenRequest {
		o.first = o.last
	}
	for _, to := range l.client.coordinators.Targets(o.retries) {
		l.client.sender.enqueue(m, to)
	}
}

// handle takes an answer for the lane, and enqueues what it makes necessary.
func (l *lane) handle(m *protocol.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := &l.operation
	if o.result != protocol.Waiting {
		return
	}
	switch m.Type {
	case protocol.OpenResponse:
		if next, send := l.session.HandleOpenResponse(*m); send {
			l.tellAnswered(m)
			l.enqueue(&next)
			return
		}
	case protocol.WriteResponse:
		if o.result = l.session.HandleWriteResponse(*m); o.result != protocol.Waiting {
			l.tellAnswered(m)
		}
	case protocol.ReadResponse:
		if l.session.HandleReadResponse(*m) {
			l.tellAnswered(m)
			o.result = protocol.Done
			o.response.Replica, o.response.Hops = m.Replica, int(m.Hops)
			o.response.Value = append(make([]byte, 0, len(m.Value)), m.Value...)
			if m.Op != protocol.OpPut {
				o.response.Value, o.response.Err = nil, ErrNotFound
			}
		}
	}
	if m.Status != protocol.StatusOK && (m.Type == protocol.OpenResponse || m.Request == o.response.Request) {
		o.cause = causeOf(m.Status)
	}
	if o.result == protocol.Waiting {
		return
	}
	o.response.Version = m.Version
	l.measure(m.Attempt)
	l.wake <- struct{}{}
}

// measure takes the time of an answer to the first or the last message sent.
func (l *lane) measure(attempt uint8) {
	switch o := &l.operation; attempt {
	case o.first.attempt:
		l.trips.measured(time.Since(o.first.at))
	case o.last.attempt:
		l.trips.measured(time.Since(o.last.at))
	}
}

// await drives the operation until it is settled, or returns why it waits no longer.
func (l *lane) await(done <-chan struct{}, deadline time.Time) error {
	c, retries := l.client, 0
	defer l.timer.Stop()
	for {
		l.timer.Reset(min(l.trips.patience(&c.options, retries), time.Until(deadline)))
		select {
		case <-l.wake:
			return nil
		case <-l.timer.C:
			if !time.Now().Before(deadline) {
				return context.DeadlineExceeded
			}
			l.retry()
			c.sender.flush()
			retries++
		case <-done:
			return context.Canceled
		case <-c.closed:
			return ErrClosed
		}
	}
}

// retry enqueues what is to be sent again.
func (l *lane) retry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.operation.result == protocol.Waiting {
		l.operation.retries++
		m := l.session.Retry(l.newNonce())
		l.tellSent(&m)
		l.enqueue(&m)
	}
}

// giveUp ends the operation for who asked for it, unless it is settled by now.
// If the outcome is unknown the session stays open, for the write to be settled.
func (l *lane) giveUp() protocol.Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.operation.result != protocol.Waiting {
		return l.operation.result
	}
	verdict := l.session // A copy: what would Abandon say?
	if result := verdict.Abandon(); result == protocol.Unknown {
		return result
	}
	l.operation.result = l.session.Abandon()
	l.tellAbandoned()
	return l.operation.result
}

// report returns the operation as it stands.
func (l *lane) report() operation {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.operation
	o.response.Session, o.response.Retries = l.session.ID, o.retries
	return o
}

// reset leaves the lane ready for its next operation.
func (l *lane) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.operation.result == protocol.Waiting {
		l.operation.result = l.session.Abandon()
		l.tellAbandoned()
	}
	select {
	case <-l.wake:
	default:
	}
	if l.session.Closed {
		l.session = protocol.Session{}
	}
}

// forget gives the session up: its slot may have another owner soon.
func (l *lane) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session = protocol.Session{}
}
