// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"dalio/impl/client"
	"dalio/impl/internal/modelnet"
	"dalio/protocol"
)

func (l *lab) to(replica int) func(from, to netip.AddrPort) bool {
	address := l.ReplicaAddress(replica)
	return func(from, to netip.AddrPort) bool { return from == address || to == address }
}

func TestNoRoomForASession(t *testing.T) {
	inLab(t, 2, client.Options{}, modelnet.Faults{}, func(l *lab) {
		l.isolate(0)
		var writes sync.WaitGroup
		for range 2 {
			writes.Go(func() { l.expectUnknown(5 * time.Second) })
		}
		time.Sleep(time.Second)
		l.expect(l.c.Put(l.within(time.Second), "third", nil), client.ErrNotDone, client.ErrBusy)
		writes.Wait()
	})
}

func (l *lab) expectUnknown(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := l.c.Put(ctx, "k", nil); err == nil {
		l.Error("a write was done that one replica can't have acknowledged")
	}
}

func TestNobodyServesReads(t *testing.T) {
	inLab(t, 2, client.Options{}, modelnet.Faults{}, func(l *lab) {
		l.Coordinator.Update(func(m *protocol.Coordinator) { m.Serving = 0 })
		_, err := l.c.Get(l.within(time.Second), "k")
		l.expect(err, client.ErrNotDone, client.ErrBusy)
	})
}

// TestForgottenSession: a coordinator that does not know the session can't say
// what became of the write, and the next write opens another session.
func TestForgottenSession(t *testing.T) {
	inLab(t, 8, client.Options{}, modelnet.Faults{}, func(l *lab) {
		l.mustPut("k", "v")
		l.Coordinator.Update(func(m *protocol.Coordinator) { clear(m.Sessions) })
		start := time.Now()
		l.expect(l.c.Put(l.Context(), "k", nil), client.ErrUnknown, client.ErrExpired)
		if took := time.Since(start); took > time.Second {
			l.Errorf("it took %v to say so", took)
		}
		l.mustPut("k", "v")
	})
}

// TestIdleSessionIsNotUsedAgain: after a long pause the session may be somebody
// else's, so another one is opened.
func TestIdleSessionIsNotUsedAgain(t *testing.T) {
	inLab(t, 64, client.Options{SessionIdle: 20 * time.Second}, modelnet.Faults{}, func(l *lab) {
		first := l.mustPut("k", "1")
		time.Sleep(19 * time.Second)
		if r := l.mustPut("k", "2"); r.Session != first.Session {
			l.Errorf("after 19s session %v took the place of %v", r.Session, first.Session)
		}
		time.Sleep(21 * time.Second)
		if r := l.mustPut("k", "3"); r.Session == first.Session {
			l.Errorf("session %v was used again after 21s", r.Session)
		}
	})
}

func TestTooManyInFlight(t *testing.T) {
	inLab(t, 8, client.Options{MaxInFlight: 1}, modelnet.Faults{Loss: 1}, func(l *lab) {
		var first sync.WaitGroup
		first.Go(func() { _, _ = l.c.Get(l.within(5*time.Second), "k") })
		time.Sleep(time.Second)
		_, err := l.c.Get(l.within(time.Second), "k")
		l.expect(err, client.ErrNotDone, client.ErrTooMany, context.DeadlineExceeded)
		ctx, cancel := context.WithCancel(l.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = l.c.Get(ctx, "k")
		l.expect(err, client.ErrNotDone, client.ErrTooMany, context.Canceled)
		first.Wait()
	})
}

func TestCloseEndsWhatIsInFlight(t *testing.T) {
	inLab(t, 8, client.Options{}, modelnet.Faults{}, func(l *lab) {
		l.mustPut("k", "v")
		l.Network.SetFaults(modelnet.Faults{Loss: 1})
		var flights sync.WaitGroup
		flights.Go(func() {
			if err := l.c.Put(context.Background(), "k", nil); !isAll(err, client.ErrUnknown, client.ErrClosed) {
				l.Errorf("put: %v", err)
			}
		})
		flights.Go(func() {
			if _, err := l.c.Get(context.Background(), "k"); !isAll(err, client.ErrNotDone, client.ErrClosed) {
				l.Errorf("get: %v", err)
			}
		})
		time.Sleep(time.Second)
		start := time.Now()
		if err := l.c.Close(); err != nil {
			l.Error(err)
		}
		flights.Wait()
		if took := time.Since(start); took != 0 {
			l.Errorf("closing took %v", took)
		}
		l.expect(l.c.Put(context.Background(), "k", nil), client.ErrNotDone, client.ErrClosed)
	})
}

func TestCancelledOperations(t *testing.T) {
	inLab(t, 8, client.Options{}, modelnet.Faults{}, func(l *lab) {
		l.mustPut("k", "v")
		l.Network.SetFaults(modelnet.Faults{Loss: 1})
		ctx, cancel := context.WithCancel(l.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		l.expect(l.c.Put(ctx, "k", nil), client.ErrUnknown, client.ErrNoAnswer, context.Canceled)
		if took := time.Since(start); took != time.Second {
			l.Errorf("took %v", took)
		}
	})
}

// TestLaneCanBeUsedAfterAnyOutcome runs more operations than there are lanes
// through every kind of failure, and then through none.
func TestLaneCanBeUsedAfterAnyOutcome(t *testing.T) {
	inLab(t, 64, client.Options{MaxInFlight: 2, SettleTimeout: time.Second}, modelnet.Faults{}, func(l *lab) {
		for _, f := range []modelnet.Faults{{Loss: 1}, {MinDelay: 3 * time.Second, MaxDelay: 3 * time.Second}, {Loss: 0.5, Duplicate: 0.5}, {}} {
			l.Network.SetFaults(f)
			for range 20 {
				_, _ = l.c.Get(l.within(500*time.Millisecond), "k")
				_ = l.c.Put(l.within(500*time.Millisecond), "k", nil)
			}
		}
		time.Sleep(10 * time.Second)
		for range 5 {
			l.mustPut("k", "v")
			if v, err := l.c.Get(l.Context(), "k"); err != nil || string(v) != "v" {
				l.Fatalf("get: %q, %v", v, err)
			}
		}
	})
}

// TestAnswerToAPredecessor: an answer that was on its way to a client which has
// ended must mean nothing to the next one with the same address.
func TestAnswerToAPredecessor(t *testing.T) {
	inLab(t, 8, client.Options{}, modelnet.Faults{}, func(l *lab) {
		l.mustPut("k", "old")
		address := netip.MustParseAddrPort("10.0.0.50:5000")
		first := l.dialFrom(address)
		// The read leaves at once and is answered, but the answer takes a second.
		l.Network.SetFaults(modelnet.Faults{MinDelay: time.Second, MaxDelay: time.Second})
		_, err := first.Get(l.within(3500*time.Millisecond), "k")
		l.expect(err, client.ErrNotDone)
		if err := first.Close(); err != nil {
			l.Fatal(err)
		}
		l.Network.SetFaults(modelnet.Faults{})
		l.mustPut("k", "new")
		l.Network.SetFaults(modelnet.Faults{MinDelay: 2 * time.Second, MaxDelay: 2 * time.Second})
		second := l.dialFrom(address)
		v, err := second.Get(l.within(20*time.Second), "k")
		if err != nil || string(v) != "new" {
			l.Errorf("get: %q, %v, want the new value", v, err)
		}
		if err := second.Close(); err != nil {
			l.Error(err)
		}
	})
}

func (l *lab) dialFrom(address netip.AddrPort) *client.Client {
	l.Helper()
	c, err := l.DialFrom(address, client.Options{})
	if err != nil {
		l.Fatal(err)
	}
	return c
}

func isAll(err error, want ...error) bool {
	for _, w := range want {
		if !errors.Is(err, w) {
			return false
		}
	}
	return true
}
