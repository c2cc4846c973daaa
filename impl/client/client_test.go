// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"dalio/impl/client"
	"dalio/impl/internal/modelnet"
	"dalio/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a shard with one client, in virtual time.
type lab struct {
	*testing.T
	*modelnet.Shard
	c *client.Client
}

// inLab runs a test with three replicas and the session table and client options given.
func inLab(t *testing.T, sessions int, o client.Options, f modelnet.Faults, test func(*lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		shard, err := modelnet.NewShard(modelnet.New(1, f), 3, sessions)
		if err != nil {
			t.Fatal(err)
		}
		l := &lab{T: t, Shard: shard}
		defer l.end()
		if l.c, err = shard.Dial(99, o); err != nil {
			t.Fatal(err)
		}
		test(l)
	})
}

func (l *lab) end() {
	if l.c != nil {
		if err := l.c.Close(); err != nil {
			l.Errorf("close the client: %v", err)
		}
	}
	if err := l.Close(); err != nil {
		l.Errorf("close the shard: %v", err)
	}
}

// within returns a context that lasts so long; the test ends it.
func (l *lab) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(l.Context(), d)
	l.Cleanup(cancel)
	return ctx
}

func (l *lab) expect(err error, want ...error) {
	l.Helper()
	for _, w := range want {
		if !errors.Is(err, w) {
			l.Fatalf("got %q, want an error that is %q", err, w)
		}
	}
}

func (l *lab) mustPut(key, value string) client.Response {
	l.Helper()
	r := l.c.Do(l.Context(), client.Request{Op: protocol.OpPut, Key: key, Value: []byte(value)})
	if r.Err != nil {
		l.Fatal(r.Err)
	}
	return r
}

func (l *lab) pending() int {
	n := 0
	l.Coordinator.Update(func(m *protocol.Coordinator) {
		for i := range m.Sessions {
			if m.Sessions[i].Pending() {
				n++
			}
		}
	})
	return n
}

func TestOperations(t *testing.T) {
	inLab(t, 16, client.Options{}, modelnet.Faults{}, func(l *lab) {
		ctx := l.Context()
		if _, err := l.c.Get(ctx, "k"); !errors.Is(err, client.ErrNotFound) {
			l.Fatalf("get of an absent key: %v", err)
		}
		r := l.mustPut("k", "v")
		if r.Retries != 0 || r.Session == 0 || r.Version != (protocol.Version{Epoch: 1, Seq: 1}) {
			l.Errorf("the first put: %+v", r)
		}
		if v, err := l.c.Get(ctx, "k"); err != nil || string(v) != "v" {
			l.Fatalf("get: %q, %v", v, err)
		}
		if err := l.c.Delete(ctx, "k"); err != nil {
			l.Fatal(err)
		}
		if v, err := l.c.Get(ctx, "k"); !errors.Is(err, client.ErrNotFound) || v != nil {
			l.Fatalf("get of a deleted key: %q, %v", v, err)
		}
		key, value := strings.Repeat("k", protocol.MaxKeySize), bytes.Repeat([]byte("v"), protocol.MaxPayloadSize-protocol.MaxKeySize)
		if err := l.c.Put(ctx, key, value); err != nil {
			l.Fatal(err)
		}
		if v, err := l.c.Get(ctx, key); err != nil || !bytes.Equal(v, value) {
			l.Fatalf("the largest value came back with %d bytes, %v", len(v), err)
		}
		l.mustPut("empty", "")
		if v, err := l.c.Get(ctx, "empty"); err != nil || v == nil || len(v) != 0 {
			l.Fatalf("the empty value came back as %v, %v", v, err)
		}
	})
}

func TestWhatCannotBeSentIsSaid(t *testing.T) {
	inLab(t, 16, client.Options{}, modelnet.Faults{}, func(l *lab) {
		before := l.Network.Tally().Sent
		l.expect(l.c.Put(l.Context(), "", nil), client.ErrNotDone, client.ErrEmptyKey)
		l.expect(l.c.Put(l.Context(), strings.Repeat("k", 251), nil), client.ErrNotDone, client.ErrTooLarge)
		l.expect(l.c.Put(l.Context(), "k", make([]byte, protocol.MaxPayloadSize)), client.ErrNotDone, client.ErrTooLarge)
		for _, r := range []client.Request{{Op: 3, Key: "k"}, {Key: "k", Value: []byte("v")}, {Op: protocol.OpDelete, Key: "k", Value: []byte("v")}} {
			if err := l.c.Do(l.Context(), r).Err; !errors.Is(err, client.ErrNotDone) {
				l.Errorf("%+v: %v", r, err)
			}
		}
		ended, cancel := context.WithCancel(l.Context())
		cancel()
		l.expect(l.c.Put(ended, "k", nil), client.ErrNotDone, context.Canceled)
		if sent := l.Network.Tally().Sent - before; sent != 0 {
			l.Errorf("%d messages were sent", sent)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]client.Options{
		"a duration is negative": {Timeout: -1},
		"longer than MaxRetry":   {MinRetry: time.Second},
		"want 1 to 32768":        {MaxInFlight: 40000},
	} {
		if _, err := client.Dial(t.Context(), "127.0.0.1:7411", o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error with %q", err, name)
		}
	}
	for _, addr := range []string{"127.0.0.1", "[::1]:7411", "127.0.0.1:none"} {
		if _, err := client.Dial(t.Context(), addr, client.Options{}); err == nil || !strings.Contains(err.Error(), addr) {
			t.Errorf("dial %s: %v", addr, err)
		}
	}
}

// TestNoCoordinator: nothing that could take effect was ever sent, because no
// session was opened.
func TestNoCoordinator(t *testing.T) {
	inLab(t, 16, client.Options{}, modelnet.Faults{Loss: 1}, func(l *lab) {
		for name, do := range map[string]func(context.Context) error{
			"put": func(ctx context.Context) error { return l.c.Put(ctx, "k", nil) },
			"get": func(ctx context.Context) error { _, err := l.c.Get(ctx, "k"); return err },
		} {
			start := time.Now()
			err := do(l.within(2 * time.Second))
			l.expect(err, client.ErrNotDone, client.ErrNoAnswer, context.DeadlineExceeded)
			if took := time.Since(start); took != 2*time.Second {
				l.Errorf("%s took %v, its deadline was 2s", name, took)
			}
			var e *client.Error
			if !errors.As(err, &e) || e.Tries < 8 || e.Tries > 20 {
				l.Errorf("%s: %v; 8 to 20 tries were expected", name, err)
			}
			if want := fmt.Sprintf("did not happen after %d tries in 2s: no answer", e.Tries); err.Error() != want {
				l.Errorf("%s: %q, want %q", name, err, want)
			}
		}
	})
}

func TestDefaultTimeout(t *testing.T) {
	inLab(t, 16, client.Options{Timeout: 3 * time.Second}, modelnet.Faults{Loss: 1}, func(l *lab) {
		start := time.Now()
		l.expect(l.c.Delete(context.Background(), "k"), client.ErrNotDone, context.DeadlineExceeded)
		if took := time.Since(start); took != 3*time.Second {
			l.Errorf("took %v", took)
		}
	})
}

// TestUnknownOutcomeIsSettled: a write that a replica does not acknowledge is
// reported unknown, and committed in the background once the replica can be reached.
func TestUnknownOutcomeIsSettled(t *testing.T) {
	inLab(t, 16, client.Options{}, modelnet.Faults{}, func(l *lab) {
		first := l.mustPut("k", "old")
		l.isolate(1)
		err := l.c.Put(l.within(time.Second), "k", []byte("new"))
		l.expect(err, client.ErrUnknown, client.ErrNoAnswer, context.DeadlineExceeded)
		if l.pending() != 1 {
			l.Fatalf("%d writes are pending", l.pending())
		}
		l.Network.Cut(nil)
		time.Sleep(time.Second)
		if l.pending() != 0 {
			l.Fatal("the write was not settled")
		}
		if v, err := l.c.Get(l.Context(), "k"); err != nil || string(v) != "new" {
			l.Fatalf("get: %q, %v", v, err)
		}
		if again := l.mustPut("k", "next"); again.Session != first.Session {
			l.Errorf("the settled lane's session %v was not used again, but %v", first.Session, again.Session)
		}
	})
}

func TestSettlingIsBounded(t *testing.T) {
	inLab(t, 16, client.Options{SettleTimeout: 2 * time.Second}, modelnet.Faults{}, func(l *lab) {
		first := l.mustPut("k", "old")
		l.isolate(1)
		l.expect(l.c.Put(l.within(time.Second), "k", []byte("new")), client.ErrUnknown)
		time.Sleep(3 * time.Second)
		sent := l.Network.Tally().Sent
		time.Sleep(10 * time.Second)
		if more := l.Network.Tally().Sent - sent; more != 0 {
			l.Errorf("%d messages were sent after settling should have ended", more)
		}
		l.Network.Cut(nil)
		if again := l.mustPut("other", "v"); again.Session == first.Session {
			l.Error("a session with an abandoned write was used again")
		}
	})
}

// isolate cuts one replica off.
func (l *lab) isolate(replica int) { l.Network.Cut(l.to(replica)) }
