// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dalio/impl/config"
)

// patience bounds every wait for something that ought to happen.
const patience = 20 * time.Second

func start(t *testing.T, dir string) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := Start(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func open(t *testing.T, s *Server) *config.Etcd {
	t.Helper()
	e, err := config.Open([]string{s.Endpoint()}, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func first() config.Config {
	return config.Config{MinMembers: 1, Sessions: 64, Generation: 1,
		Members: []config.Member{{ID: 16, Address: netip.MustParseAddrPort("10.0.0.2:7411"), InSync: true}}}
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func TestSwapNeedsTheNewestRevision(t *testing.T) {
	e := open(t, start(t, t.TempDir()))
	if _, _, err := e.Load(t.Context()); !errors.Is(err, config.ErrNone) {
		t.Fatalf("load before there was any: %v", err)
	}
	one, err := e.Swap(t.Context(), 0, first())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Swap(t.Context(), 0, first()); !errors.Is(err, config.ErrChanged) {
		t.Errorf("made a configuration where there is one: %v", err)
	}
	next, revision, err := e.Load(t.Context())
	if err != nil || revision != one || next.Members[0] != first().Members[0] {
		t.Fatalf("loaded %+v at %d, %v; want revision %d", next, revision, err, one)
	}
	next.Epoch = 1
	if _, err := e.Swap(t.Context(), one, next); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Swap(t.Context(), one, next); !errors.Is(err, config.ErrChanged) {
		t.Errorf("a change based on an old revision: %v", err)
	}
	next.MinMembers = 0
	if _, err := e.Swap(t.Context(), one, next); !errors.Is(err, config.ErrInvalid) {
		t.Errorf("an invalid configuration: %v", err)
	}
}

// TestOneOfManyWins: of changes based on the same revision one is made.
func TestOneOfManyWins(t *testing.T) {
	e := open(t, start(t, t.TempDir()))
	var won atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			switch _, err := e.Swap(t.Context(), 0, first()); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, config.ErrChanged):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 8 changes were made", won.Load())
	}
}

func TestConfigurationOutlivesTheServer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 20))
	s := start(t, dir)
	e := open(t, s)
	changes := e.Changes(t.Context())
	<-changes // The watch has begun.
	revision, err := e.Swap(t.Context(), 0, first())
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-changes:
	case <-time.After(patience):
		t.Fatal("the change was not told")
	}
	s.Close()
	if _, _, err := e.Load(t.Context()); err == nil || errors.Is(err, config.ErrNone) {
		t.Errorf("load without a server: %v", err)
	}
	start(t, dir)
	await(t, "the configuration is there again", func() bool {
		_, again, err := e.Load(t.Context())
		return err == nil && again == revision
	})
	if _, err := os.Stat(filepath.Join(dir, Socket)); err != nil {
		t.Error(err)
	}
}

func TestPresenceEndsWithItsProcess(t *testing.T) {
	e := open(t, start(t, t.TempDir()))
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		e.Announce(ctx, config.Presence{Name: "a", Address: "10.0.0.1:7411", PID: 7}, time.Second)
	}()
	present := func() []config.Presence {
		p, err := e.Present(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	await(t, "the presence", func() bool { p := present(); return len(p) == 1 && p[0].PID == 7 && p[0].Name == "a" })
	leave()
	<-gone
	await(t, "the absence", func() bool { return len(present()) == 0 })
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file for a folder: %v", err)
	}
	if _, err := config.Open(nil, "test"); err == nil {
		t.Error("opened etcd without an endpoint")
	}
}
