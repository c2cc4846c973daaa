// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"dalio/impl/internal/coordinators"
	"dalio/impl/internal/datagram"
	"dalio/protocol"
)

const (
	receiveBatch = 64
	// receiveBuffer takes up the answers that come while the program does
	// something else.
	receiveBuffer = 1 << 20
	// maxSettling bounds the writes that are settled in the background.
	maxSettling = 256
)

// Client is a client of one shard.
type Client struct {
	options      Options
	coordinators *coordinators.Set
	packets      net.PacketConn
	conn         *datagram.Conn
	sender       *sender

	// Reads and writes have lanes of their own, so that only as many sessions
	// are opened as there are writes in flight.
	readers, writers pool
	// tokens holds one entry for each operation in flight.
	tokens chan struct{}
	// lanes has every lane by its index. They are made one by one, under the lock.
	lanes     []atomic.Pointer[lane]
	lanesMu   sync.Mutex
	laneCount int

	closed chan struct{}
	close  func() error
	// background counts the receiver and the writes being settled.
	background sync.WaitGroup
	settleMu   sync.Mutex
	settling   int
	ended      bool
}

// Dial returns a client of the shard whose coordinator has the address, or one
// of several, with commas between them: the client finds the active one by
// itself. Nothing is sent yet: a coordinator that is not there shows at the first
// operation.
func Dial(ctx context.Context, addr string, o Options) (*Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	packets, targets, err := openSocket(addr, o.Conn)
	if err != nil {
		return nil, err
	}
	if udp, ok := packets.(*net.UDPConn); ok {
		// A smaller buffer than asked for costs retries and nothing else.
		_, _ = datagram.SetReceiveBuffer(udp, receiveBuffer)
	}
	c := &Client{
		options:      o,
		coordinators: coordinators.New(targets),
		packets:      packets,
		conn:         datagram.NewConn(packets),
		tokens:       make(chan struct{}, o.MaxInFlight),
		lanes:        make([]atomic.Pointer[lane], 2*o.MaxInFlight),
		closed:       make(chan struct{}),
	}
	c.sender = newSender(c.conn)
	c.readers.client, c.writers.client = c, c
	c.close = sync.OnceValue(c.shutdown)
	c.background.Go(c.receive)
	return c, nil
}

// Get returns the key's value, or ErrNotFound.
func (c *Client) Get(ctx context.Context, key string) ([]byte, error) {
	r := c.Do(ctx, Request{Key: key})
	return r.Value, r.Err
}

// Put sets the key's value.
func (c *Client) Put(ctx context.Context, key string, value []byte) error {
	return c.Do(ctx, Request{Op: protocol.OpPut, Key: key, Value: value}).Err
}

// Delete makes the key absent; it may be absent already.
func (c *Client) Delete(ctx context.Context, key string) error {
	return c.Do(ctx, Request{Op: protocol.OpDelete, Key: key}).Err
}

// Do does one operation and says how. Get, Put and Delete are shorthands for it.
func (c *Client) Do(ctx context.Context, r Request) Response {
	start := time.Now()
	response := c.do(ctx, start, &r)
	response.Elapsed = time.Since(start)
	if c.options.Observe != nil {
		c.options.Observe(r, response)
	}
	return response
}

func (c *Client) do(ctx context.Context, start time.Time, r *Request) Response {
	if err := check(r); err != nil {
		return Response{Err: &Error{Outcome: ErrNotDone, Causes: []error{err}}}
	}
	deadline, limited := ctx.Deadline()
	if !limited {
		deadline = start.Add(c.options.Timeout)
	}
	if err := c.acquire(ctx, deadline); err != nil {
		return Response{Err: &Error{Outcome: ErrNotDone, Causes: err, Elapsed: time.Since(start)}}
	}
	lanes := &c.readers
	if r.Op != protocol.OpNone {
		lanes = &c.writers
	}
	l := lanes.take(start)
	l.begin(r)
	if len(c.tokens) > 1 {
		// Whoever else is about to send goes first, and one system call takes all.
		runtime.Gosched()
	}
	c.sender.flush()
	stopped := l.await(ctx.Done(), deadline)
	if stopped != nil && l.giveUp() == protocol.Unknown {
		response := c.failure(ctx, l.report(), start, stopped, ErrUnknown)
		c.settle(lanes, l)
		return response
	}
	return c.conclude(ctx, lanes, l, start, stopped)
}

// conclude returns the outcome of an operation that has one, and frees its lane.
func (c *Client) conclude(ctx context.Context, lanes *pool, l *lane, start time.Time, stopped error) Response {
	o := l.report()
	lanes.put(l)
	<-c.tokens
	switch o.result {
	case protocol.Done:
		return o.response
	case protocol.DidNotHappen:
		return c.failure(ctx, o, start, stopped, ErrNotDone)
	}
	return c.failure(ctx, o, start, stopped, ErrUnknown)
}

// failure explains an operation that was not done. Stopped is why it was waited
// for no longer, nil if an answer settled it.
func (c *Client) failure(ctx context.Context, o operation, start time.Time, stopped, outcome error) Response {
	e := &Error{Outcome: outcome, Causes: []error{o.cause}, Tries: o.retries + 1, Elapsed: time.Since(start)}
	if err := c.sender.failedSince(start); err != nil && errors.Is(o.cause, ErrNoAnswer) {
		e.Causes = append([]error{err}, e.Causes...)
	}
	switch err := ctx.Err(); {
	case stopped == nil:
	case errors.Is(stopped, ErrClosed), errors.Is(err, context.Canceled):
		e.Causes = append([]error{stopped}, e.Causes...)
	default:
		e.Causes = append(e.Causes, context.DeadlineExceeded)
	}
	o.response.Err = e
	return o.response
}

func check(r *Request) error {
	if r.Op > protocol.OpDelete {
		return fmt.Errorf("client: there is no operation %d", r.Op)
	}
	if r.Op != protocol.OpPut && len(r.Value) != 0 {
		return errors.New("client: only a put has a value")
	}
	return checkSize(r.Key, r.Value)
}

// checkSize is protocol.CheckSize without a copy of the key where all is well.
func checkSize(key string, value []byte) error {
	if len(key) > 0 && len(key) <= protocol.MaxKeySize && len(key)+len(value) <= protocol.MaxPayloadSize {
		return nil
	}
	return protocol.CheckSize([]byte(key), value)
}

// acquire waits until an operation may start, or returns the causes why it can't.
func (c *Client) acquire(ctx context.Context, deadline time.Time) []error {
	select {
	case <-c.closed:
		return []error{ErrClosed}
	default:
	}
	if err := ctx.Err(); err != nil {
		return []error{err}
	}
	select {
	case c.tokens <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case c.tokens <- struct{}{}:
		return nil
	case <-timer.C:
		return []error{ErrTooMany, context.DeadlineExceeded}
	case <-ctx.Done():
		return []error{ErrTooMany, ctx.Err()}
	case <-c.closed:
		return []error{ErrClosed}
	}
}

func (c *Client) addLane(trips *roundTrips) *lane {
	c.lanesMu.Lock()
	defer c.lanesMu.Unlock()
	l := newLane(c, c.laneCount, trips)
	c.lanes[c.laneCount].Store(l)
	c.laneCount++
	return l
}
