// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dalio/bpf"
	"dalio/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOptionsAreChecked(t *testing.T) {
	at := netip.MustParseAddrPort
	good := Options{Devices: []string{"eth0"}, Listen: at("10.0.0.1:7411"), Epoch: 1, Replicas: []Replica{{16, at("10.0.0.2:7411")}, {17, at("10.0.0.3:7411")}}}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Options){
		"no device":        func(o *Options) { o.Devices = nil },
		"listen address":   func(o *Options) { o.Listen = at("[::1]:7411") },
		"epochs start":     func(o *Options) { o.Epoch = 0 },
		"0 replicas":       func(o *Options) { o.Replicas = nil },
		"16 is the first":  func(o *Options) { o.Replicas[0].ID = 3 },
		"same index 1":     func(o *Options) { o.Replicas[0].ID = 33 },
		"same address":     func(o *Options) { o.Replicas[0].Address = o.Replicas[1].Address },
		"other than the c": func(o *Options) { o.Replicas[0].Address = at("10.0.0.1:7412") },
		"17 at 10.0.0.3:0": func(o *Options) { o.Replicas[1].Address = at("10.0.0.3:0") },
	} {
		o := good
		o.Replicas = slices.Clone(good.Replicas)
		spoil(&o)
		if err := o.check(); !errors.Is(err, ErrConfiguration) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestParseReplica(t *testing.T) {
	if r, err := ParseReplica("16=10.0.0.2:7411"); err != nil || r != (Replica{16, netip.MustParseAddrPort("10.0.0.2:7411")}) {
		t.Errorf("got %v, %v", r, err)
	}
	for _, s := range []string{"", "16", "16=", "=10.0.0.2:7411", "x=10.0.0.2:7411", "16=host:7411", "16=10.0.0.2", "-1=10.0.0.2:1"} {
		if _, err := ParseReplica(s); err == nil || !strings.Contains(err.Error(), "ID=IP:PORT") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// pendingState has three members, and a write in slot 1 that only the second has
// acknowledged.
func pendingState() *protocol.Coordinator {
	c := &protocol.Coordinator{Epoch: 4, Members: 0b111, Serving: 0b011, Sessions: make([]protocol.SessionEntry, 4)}
	for i := range 3 {
		c.Known[i] = protocol.Member{ID: protocol.ReplicaID(16 + i), Address: protocol.Address{IP: [4]byte{10, 0, 0, byte(2 + i)}, Port: 7411}}
	}
	c.Sessions[0] = protocol.SessionEntry{Owner: protocol.MintSessionID(4, 1, 0), Request: 3, Seq: 6, Acks: 0xFFFF}
	c.Sessions[1] = protocol.SessionEntry{Owner: protocol.MintSessionID(4, 1, 1), Request: 9, Seq: 7, Acks: 0b010, Op: protocol.OpPut}
	return c
}

func TestPendingWritesAreTimed(t *testing.T) {
	var w watch
	start := time.Now()
	w.scan(pendingState(), start)
	later := pendingState()
	later.Sessions[2] = protocol.SessionEntry{Owner: protocol.MintSessionID(4, 1, 2), Request: 1, Seq: 8}
	now := start.Add(3 * time.Second)
	w.scan(later, now)
	var s Status
	w.report(&s, later, now)
	if s.PendingCount != 2 || len(s.Pending) != 2 || s.Sessions.Opened != 3 || s.Sessions.Size != 4 || s.Epoch != 4 {
		t.Fatalf("status %+v", s)
	}
	oldest := s.Pending[0]
	if oldest.Version != "4.7" || oldest.Waiting != 3 || oldest.Op != "put" || oldest.Request != 9 || !slices.Equal(oldest.Missing, []uint32{16, 18}) {
		t.Errorf("the oldest pending write is %+v", oldest)
	}
	if s.Pending[1].Waiting != 0 {
		t.Errorf("a new pending write has waited %v s", s.Pending[1].Waiting)
	}
	for i, want := range []int{2, 1, 2} {
		if m := s.Members[i]; m.Unacknowledged != want || m.Serving != (i < 2) || m.ID != uint32(16+i) {
			t.Errorf("member %+v, want %d unacknowledged", m, want)
		}
	}
	// The slot's next write is another one.
	later.Sessions[1].Seq = 9
	w.scan(later, now)
	var again Status
	w.report(&again, later, now.Add(time.Second))
	if again.Pending[0].Waiting != 1 || again.Pending[1].Waiting != 1 {
		t.Errorf("pending %+v", again.Pending)
	}
}

func TestScansAreRareWhileWritesCommit(t *testing.T) {
	counters := func(sequenced, commits uint64) bpf.Counters {
		return bpf.Counters{Activities: map[string]uint64{"sequenced": sequenced, "commits": commits}}
	}
	start := time.Now()
	w := watch{lastDue: start}
	for i, step := range []struct {
		after              time.Duration
		sequenced, commits uint64
		want               bool
	}{
		{1 * time.Second, 0, 0, false},   // nothing is pending
		{2 * time.Second, 10, 8, false},  // two are, and eight were committed
		{3 * time.Second, 11, 8, true},   // a halt
		{4 * time.Second, 20, 15, false}, // going on
		{12 * time.Second, 30, 25, false},
		{13 * time.Second, 40, 35, true}, // it is time to look
		{14 * time.Second, 40, 40, false},
	} {
		w.scan(pendingState(), start.Add(step.after)) // Somebody has asked for a status.
		if got := w.due(counters(step.sequenced, step.commits), start.Add(step.after)); got != step.want {
			t.Errorf("step %d: due is %v", i, got)
		}
	}
}

// counted counts how often its session table is looked through.
type counted struct {
	dataPlane
	now   protocol.Coordinator
	looks int
}

func (c *counted) Counters() (bpf.Counters, error) { return bpf.Counters{}, nil }

func (c *counted) State() (*protocol.Coordinator, error) {
	c.looks++
	return pendingState(), nil
}

func (c *counted) Summary() (*protocol.Coordinator, error) { return &c.now, nil }

// TestStatusIsCheap: many who ask share one look at the session table, and are told
// of the members as they are.
func TestStatusIsCheap(t *testing.T) {
	data := &counted{now: *pendingState()}
	c := &Coordinator{plane: &plane{data: data}, network: &network{}}
	status := func() *Status {
		t.Helper()
		s, err := c.Status()
		if err != nil || s.PendingCount != 1 || s.Sessions.Size != 4 {
			t.Fatalf("status %+v, %v", s, err)
		}
		c.watch.looked = time.Now() // However slow this machine is.
		return s
	}
	status()
	data.now.Members, data.now.Known = 0b010, [protocol.MaxMembers]protocol.Member{1: data.now.Known[1]}
	for range 20 {
		if s := status(); len(s.Members) != 1 {
			t.Fatalf("the members are %+v", s.Members)
		}
	}
	if data.looks != 1 {
		t.Errorf("looked through the table %d times, want once", data.looks)
	}
	c.watch.looked = time.Now().Add(-tableFresh)
	status()
	if data.looks != 2 {
		t.Error("what was found stays for ever")
	}
	data.now.Epoch++
	status()
	if data.looks != 3 {
		t.Error("what was found in an epoch is told of another one")
	}
}

func TestStatusSocket(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(long, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "s"), filepath.Join(long, "status.sock")} {
		s, err := serveStatus(path, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"epoch":7}`) }))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := FetchStatus(t.Context(), path); err != nil || got.Epoch != 7 {
			t.Errorf("fetched %+v, %v", got, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the socket is %v, %v", info.Mode(), err)
		}
		if _, err := serveStatus(path, nil); !errors.Is(err, ErrConfiguration) || !strings.Contains(err.Error(), "another coordinator") {
			t.Errorf("a second server got %v", err)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("the socket is left behind: %v", err)
		}
	}
}

func TestStatusSocketTroubles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	if _, err := FetchStatus(t.Context(), path); err == nil || strings.Contains(err.Error(), "http://") {
		t.Errorf("no socket: %v", err)
	}
	// What a killed coordinator leaves.
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	s, err := serveStatus(path, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answerError(w, errors.New("no data plane")) }))
	if err != nil {
		t.Fatalf("a stale socket is in the way: %v", err)
	}
	if _, err := FetchStatus(t.Context(), path); err == nil || !strings.Contains(err.Error(), "no data plane") {
		t.Errorf("a failed status came as %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := FetchStatus(ended, path); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := serveStatus(file, nil); !errors.Is(err, ErrConfiguration) {
		t.Errorf("a file in the way: %v", err)
	}
	if _, err := serveStatus(filepath.Join(dir, "none", "s"), nil); !errors.Is(err, ErrConfiguration) {
		t.Errorf("no folder: %v", err)
	}
}
