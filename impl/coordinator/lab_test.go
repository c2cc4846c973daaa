// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dalio/impl/client"
	"dalio/impl/config"
	"dalio/impl/fabric"
	"dalio/protocol"
)

// dialOn returns a function that dials from a node.
func dialOn(node *fabric.Node) dialFunc {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = node.Do(func() error {
			// One address, so that it dials on this thread.
			var d net.Dialer
			conn, err = d.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

// memoryStore is a Shared in this process.
type memoryStore struct {
	mu       sync.Mutex
	config   config.Config
	revision config.Revision
	present  map[string]config.Presence
	watchers []chan struct{}
	down     bool
}

func newMemoryStore() *memoryStore { return &memoryStore{present: map[string]config.Presence{}} }

var errStoreDown = fmt.Errorf("the store is down")

func (s *memoryStore) Load(context.Context) (config.Config, config.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.down:
		return config.Config{}, 0, errStoreDown
	case s.revision == 0:
		return config.Config{}, 0, config.ErrNone
	}
	return s.config.Clone(), s.revision, nil
}

func (s *memoryStore) Swap(_ context.Context, base config.Revision, next config.Config) (config.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.down:
		return 0, errStoreDown
	case base != s.revision:
		return 0, config.ErrChanged
	}
	if err := next.Check(); err != nil {
		return 0, err
	}
	s.config, s.revision = next.Clone(), s.revision+1
	s.tell()
	return s.revision, nil
}

func (s *memoryStore) tell() {
	for _, w := range s.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

func (s *memoryStore) Changes(context.Context) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := make(chan struct{}, 1)
	s.watchers = append(s.watchers, w)
	return w
}

func (s *memoryStore) Announce(ctx context.Context, p config.Presence, _ time.Duration) {
	s.set(func() { s.present[p.Name] = p })
	<-ctx.Done()
	s.set(func() { delete(s.present, p.Name) })
}

func (s *memoryStore) Present(context.Context) (all []config.Presence, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.present {
		all = append(all, p)
	}
	return all, nil
}

func (s *memoryStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.tell()
}

// sharedLab is a shard whose members change, with everything in this process: two
// hosts for coordinators, replicas and a client on a rack, and the model of a
// replica in place of real ones.
type sharedLab struct {
	*testing.T
	rack         *fabric.Rack
	hosts        []*fabric.Node
	client       *fabric.Node
	replicas     []*testReplica
	store        *memoryStore
	coordinators []*Coordinator
	ends         []func()
	clients      *client.Client
	dir          string
}

func newSharedLab(t *testing.T, replicas int) *sharedLab {
	t.Helper()
	rack, err := fabric.New(context.Background(), fabric.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := &sharedLab{T: t, rack: rack, store: newMemoryStore(), dir: t.TempDir(), coordinators: make([]*Coordinator, 2), ends: make([]func(), 2)}
	t.Cleanup(l.end)
	for i := range 2 {
		l.hosts = append(l.hosts, l.node(fmt.Sprintf("coordinator%d", i), uint8(1+i)))
	}
	l.client = l.node("client", 100)
	for i := range replicas {
		l.replicas = append(l.replicas, newTestReplica(t, l.node(fmt.Sprintf("replica%d", i), uint8(11+i))))
	}
	return l
}

func (l *sharedLab) node(name string, host uint8) *fabric.Node {
	l.Helper()
	node, err := l.rack.AddNode(name, host)
	if err != nil {
		l.Fatal(err)
	}
	return node
}

// start runs coordinator i, changed from the usual options.
func (l *sharedLab) start(i int, change ...func(*Options)) *Coordinator {
	l.Helper()
	o := Options{Devices: []string{"eth0"}, Listen: netip.AddrPortFrom(l.hosts[i].Addr, protocol.Port), Sessions: 64,
		Shared: l.store, Name: string(rune('a' + i)), Standby: i > 0, Dial: dialOn(l.hosts[i]), enter: l.hosts[i].Do,
		StatusSocket: filepath.Join(l.dir, fmt.Sprint("status", i)), Logger: slog.New(slog.NewTextHandler(testLog{l.T, i}, nil))}
	for _, r := range l.replicas {
		o.Found = append(o.Found, r.address)
	}
	for _, c := range change {
		c(&o)
	}
	var c *Coordinator
	err := l.hosts[i].Do(func() (err error) {
		c, err = Start(context.Background(), o)
		return err
	})
	if err != nil {
		l.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Serve(ctx); err != nil {
			l.Error(err)
		}
	}()
	l.coordinators[i] = c
	l.ends[i] = sync.OnceFunc(func() { cancel(); <-done })
	return c
}

type testLog struct {
	t *testing.T
	i int
}

func (w testLog) Write(b []byte) (int, error) {
	w.t.Logf("%c: %s", 'a'+w.i, strings.TrimSpace(string(b)))
	return len(b), nil
}

func (l *sharedLab) dial() *client.Client {
	l.Helper()
	if l.clients == nil {
		socket, err := l.client.ListenUDP(0)
		if err != nil {
			l.Fatal(err)
		}
		var addresses []string
		for _, h := range l.hosts {
			addresses = append(addresses, netip.AddrPortFrom(h.Addr, protocol.Port).String())
		}
		if l.clients, err = client.Dial(context.Background(), strings.Join(addresses, ","), client.Options{Conn: socket}); err != nil {
			l.Fatal(err)
		}
	}
	return l.clients
}

func (l *sharedLab) put(key, value string) {
	l.Helper()
	if err := l.dial().Put(l.Context(), key, []byte(value)); err != nil {
		l.Fatalf("put %s: %v", key, err)
	}
}

func (l *sharedLab) expect(key, value string) {
	l.Helper()
	if got, err := l.dial().Get(l.Context(), key); err != nil || string(got) != value {
		l.Fatalf("get %s: %q, %v; want %q", key, got, err, value)
	}
}

func (l *sharedLab) status(i int) *Status {
	l.Helper()
	s, err := FetchStatus(l.Context(), filepath.Join(l.dir, fmt.Sprint("status", i)))
	if err != nil {
		l.Fatal(err)
	}
	return s
}

// await waits until something is so.
func (l *sharedLab) await(what string, is func() bool) {
	l.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.logStatus()
			l.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// logStatus tells of every coordinator that was started, for people. Some may be gone.
func (l *sharedLab) logStatus() {
	l.Helper()
	for i, c := range l.coordinators {
		if c == nil {
			continue
		}
		s, err := FetchStatus(l.Context(), c.options.StatusSocket)
		l.Logf("coordinator %d: %+v, %v", i, s, err)
	}
}

// whole says whether coordinator i serves with so many members, all serving.
func (l *sharedLab) whole(i, members int) func() bool {
	return func() bool {
		s := l.status(i)
		serving := 0
		for _, m := range s.Members {
			if m.Serving {
				serving++
			}
		}
		return s.Role == RoleActive && serving == members && s.Config.InSync() == members && len(s.Config.Members) == members
	}
}

func (l *sharedLab) end() {
	if l.clients != nil {
		l.clients.Close()
	}
	for _, end := range l.ends {
		if end != nil {
			end()
		}
	}
	for _, r := range l.replicas {
		r.kill()
	}
	if err := l.rack.Close(); err != nil {
		l.Error(err)
	}
}
