// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"dalio/impl/replica/control"
)

const (
	// statusInterval is how often a replica is asked for its state if nothing
	// happens.
	statusInterval = 250 * time.Millisecond
	followTimeout  = 500 * time.Millisecond
	// redial is the pause before a connection that was refused is tried again.
	redial = 20 * time.Millisecond
	// Replicas that fail are left alone for a time that doubles.
	holdMin, holdMax = 250 * time.Millisecond, 10 * time.Second
	// A replica that goes on for so many times as long as it was left alone is taken
	// for reliable again: one that always fails holds up the shard, each time for as
	// long as it takes to notice, once in (1 + forgiven) * holdMin at most.
	forgiven = 4
	// A replica that catches up is asked more often at first: most have little to do.
	catchUpInterval = 10 * time.Millisecond
)

// follower knows how one replica is. It keeps a connection open: the kernel of a
// process that has died says so at once, and that of one that lives does not.
type follower struct {
	address netip.AddrPort
	client  *control.Client
	dial    dialFunc
	changed func(urgent bool)
	cancel  context.CancelFunc
	done    chan struct{}
	now     func() time.Time

	mu     sync.Mutex
	status control.Status
	known  bool
	// asked counts the questions that change the replica's state: an answer to an
	// earlier question for its state is of no use.
	asked int
	// refused: nobody listens at the address.
	refused bool
	// heard is when it answered last, or since when it has been listened to.
	heard, begun time.Time
	// open is when it answered last as a member that is open, and returned when it was
	// first told that it has come back with its disk, zero while that is not so.
	open, returned time.Time
	held           time.Time
	failures       int
	// catchingUp is since when it catches up, if it does.
	catchingUp time.Time
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

func newFollower(ctx context.Context, address netip.AddrPort, dial dialFunc, changed func(bool)) *follower {
	ctx, cancel := context.WithCancel(ctx)
	f := &follower{address: address, client: control.NewClient(address, control.Options{Dial: dial}), dial: dial, changed: changed,
		cancel: cancel, done: make(chan struct{}), now: time.Now, begun: time.Now()}
	go f.follow(ctx)
	return f
}

func (f *follower) close() {
	f.cancel()
	<-f.done
	f.client.Close()
}

func (f *follower) follow(ctx context.Context) {
	defer close(f.done)
	for ctx.Err() == nil {
		dialling, cancel := context.WithTimeout(ctx, followTimeout)
		conn, err := f.dial(dialling, "tcp4", f.address.String())
		cancel()
		f.dialled(err)
		if err == nil {
			f.attend(ctx, conn)
			conn.Close()
		}
		pause(ctx, redial)
	}
}

// pause waits, unless the context ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// dialled takes note of whether somebody is there.
func (f *follower) dialled(err error) {
	refused := errors.Is(err, syscall.ECONNREFUSED)
	f.mu.Lock()
	was := f.refused
	f.refused = refused || was && err != nil
	is := f.refused
	f.mu.Unlock()
	if is != was {
		f.changed(is)
	}
}

// attend asks for the state again and again until the connection breaks.
func (f *follower) attend(ctx context.Context, conn net.Conn) {
	broken := make(chan struct{})
	go func() {
		defer close(broken)
		_, _ = conn.Read(make([]byte, 1)) // Nothing is ever sent: it ends with the connection.
	}()
	defer func() { conn.Close(); <-broken }()
	for {
		_ = f.poll(ctx) // That it does not answer shows in when it was heard.
		select {
		case <-broken:
			return
		case <-time.After(f.interval(f.now())):
		case <-ctx.Done():
			return
		}
	}
}

// interval returns how long to wait before the replica is asked again. While it
// catches up that grows with the time that it takes.
func (f *follower) interval(now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.status.CatchUp.State != control.Running {
		return statusInterval
	}
	return min(max(catchUpInterval, now.Sub(f.catchingUp)/4), statusInterval)
}

// poll asks for the state once.
func (f *follower) poll(ctx context.Context) error {
	f.mu.Lock()
	asked := f.asked
	f.mu.Unlock()
	ctx, cancel := bounded(ctx, followTimeout)
	defer cancel()
	status, err := f.client.Status(ctx)
	if err != nil {
		return err
	}
	if matters, lost := f.told(status, asked); matters {
		f.changed(lost)
	}
	return nil
}

// told takes note of a state that was told, unless it was asked for before something
// changed it. It says whether it matters, and whether a member is lost.
func (f *follower) told(status control.Status, asked int) (matters, lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if asked != f.asked {
		return false, false
	}
	before, known := f.status, f.known
	f.status, f.known, f.heard = status, true, f.now()
	switch {
	case status.Returned == nil:
		f.returned = time.Time{}
	case f.returned.IsZero():
		f.returned = f.heard
	}
	if status.CatchUp.State == control.Running && before.CatchUp.State != control.Running {
		f.catchingUp = f.heard
	}
	lost = known && before.ID != 0 && before.ID != status.ID
	return !known || lost || before.ID != status.ID || before.CatchUp.State != status.CatchUp.State, lost
}

// ask does something that changes the replica's state, and waits until the state
// is known again.
func (f *follower) ask(ctx context.Context, what func() error) error {
	f.mu.Lock()
	f.asked++
	f.mu.Unlock()
	err := what()
	f.mu.Lock()
	f.asked++
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.poll(ctx)
}

// hear takes note of an answer to a probe, of one that is open or not.
func (f *follower) hear(now time.Time, open bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = now
	if open {
		f.open = now
	}
}

// hold leaves the replica alone for a while, longer each time.
func (f *follower) hold(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.held) > forgiven*holdFor(f.failures) {
		f.failures = 0
	}
	f.failures++
	f.held = now.Add(holdFor(f.failures))
}

// holdFor returns for how long a replica is left alone that has failed that often.
func holdFor(failures int) time.Duration {
	return min(holdMin<<min(max(failures-1, 0), 10), holdMax)
}

// excuse forgets how long the replica has been silent: it is we who were.
func (f *follower) excuse(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun = now
}

// replicaView is what is known of a replica.
type replicaView struct {
	status           control.Status
	known, suspected bool
	refused, held    bool
	heard            time.Time
	open, returned   time.Time
}

// look returns what is known, with suspicion after a silence of the length given.
func (f *follower) look(now time.Time, patience time.Duration) replicaView {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := f.heard
	if f.begun.After(last) {
		last = f.begun
	}
	return replicaView{status: f.status, known: f.known, refused: f.refused, held: now.Before(f.held), heard: f.heard,
		open: f.open, returned: f.returned,
		suspected: f.refused || now.Sub(last) > patience}
}
