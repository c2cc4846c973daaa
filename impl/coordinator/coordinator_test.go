// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"dalio/impl/client"
	"dalio/impl/fabric"
	"dalio/impl/replica"
	"dalio/protocol"
)

// patience bounds every wait for something that ought to happen.
const patience = 20 * time.Second

// lab is a shard on a rack of network namespaces, with everything in this process.
type lab struct {
	*testing.T
	rack    *fabric.Rack
	nodes   []*fabric.Node
	options Options
	c       *Coordinator
	clients *client.Client
	// stops end the replicas, and wait until they have ended.
	stops    []func()
	running  sync.WaitGroup
	endServe context.CancelFunc
}

// newLab starts replicas on a rack; the coordinator is for the test to start.
func newLab(t *testing.T, replicas int) *lab {
	rack, err := fabric.New(context.Background(), fabric.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{T: t, rack: rack}
	t.Cleanup(l.end)
	l.node("coordinator", 1)
	l.node("client", 100)
	l.options = Options{Devices: []string{"eth0"}, Epoch: 1, Listen: netip.AddrPortFrom(l.nodes[0].Addr, protocol.Port),
		Sessions: 64, StatusSocket: filepath.Join(t.TempDir(), "status")}
	for i := range replicas {
		node := l.node("replica"+string(rune('a'+i)), uint8(11+i))
		r := Replica{protocol.ReplicaID(16 + i), netip.AddrPortFrom(node.Addr, protocol.Port)}
		l.options.Replicas = append(l.options.Replicas, r)
		socket, err := node.ListenUDP(protocol.Port)
		if err != nil {
			t.Fatal(err)
		}
		server, err := replica.New(socket, replica.Options{ID: r.ID, Epoch: 1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		l.stops = append(l.stops, func() { cancel(); <-done })
		go func() {
			defer close(done)
			if err := server.Serve(ctx); err != nil {
				t.Error(err)
			}
		}()
	}
	return l
}

func (l *lab) node(name string, host uint8) *fabric.Node {
	l.Helper()
	node, err := l.rack.AddNode(name, host)
	if err != nil {
		l.Fatal(err)
	}
	l.nodes = append(l.nodes, node)
	return node
}

func (l *lab) start() error {
	return l.nodes[0].Do(func() (err error) {
		l.c, err = Start(context.Background(), l.options)
		return err
	})
}

func (l *lab) serve() {
	l.Helper()
	if err := l.start(); err != nil {
		l.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.endServe = cancel
	l.running.Go(func() {
		if err := l.c.Serve(ctx); err != nil {
			l.Error(err)
		}
	})
	socket, err := l.nodes[1].ListenUDP(0)
	if err != nil {
		l.Fatal(err)
	}
	if l.clients, err = client.Dial(context.Background(), l.options.Listen.String(), client.Options{Conn: socket}); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) end() {
	if l.clients != nil {
		l.clients.Close()
	}
	if l.endServe != nil {
		l.endServe()
	}
	for _, stop := range l.stops {
		stop()
	}
	l.running.Wait()
	if err := l.rack.Close(); err != nil {
		l.Error(err)
	}
}

func (l *lab) status() *Status {
	l.Helper()
	s, err := FetchStatus(l.Context(), l.options.StatusSocket)
	if err != nil {
		l.Fatal(err)
	}
	return s
}

// until polls the status for a condition.
func (l *lab) until(what string, holds func(*Status) bool) {
	l.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		s := l.status()
		if holds(s) {
			return
		}
		if time.Now().After(deadline) {
			l.Fatalf("%s: not so within %v; status %+v", what, patience, s)
		}
	}
}

func (l *lab) put(d time.Duration) error {
	ctx, cancel := context.WithTimeout(l.Context(), d)
	defer cancel()
	return l.clients.Put(ctx, "key", []byte("value"))
}

func TestShardServesAndReports(t *testing.T) {
	l := newLab(t, 3)
	l.serve()
	if err := l.put(patience); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		if v, err := l.clients.Get(t.Context(), "key"); err != nil || string(v) != "value" {
			t.Fatalf("get: %q, %v", v, err)
		}
	}
	l.until("every replica is heard of", func(s *Status) bool {
		return !slices.ContainsFunc(s.Members, func(m Member) bool { return m.LastHeard == nil })
	})
	s := l.status()
	if s.Epoch != 1 || s.Address != "10.77.0.1:7411" || s.Device != "eth0" || len(s.Members) != 3 || s.PendingCount != 0 {
		t.Errorf("status %+v", s)
	}
	for i, m := range s.Members {
		if m.Reads != 2 || !m.Serving || m.MAC != l.nodes[2+i].MAC.String() {
			t.Errorf("member %+v: want 2 reads, serving, MAC %v", m, l.nodes[2+i].MAC)
		}
	}
	if s.Activities["commits"] != 1 || s.Activities["released"] != 6 || s.Actions["HandleWriteRequest"] == 0 {
		t.Errorf("counted %v, %v", s.Activities, s.Actions)
	}

	l.stops[1]()
	if err := l.put(300 * time.Millisecond); !errors.Is(err, client.ErrUnknown) {
		t.Fatalf("a put without one replica: %v", err)
	}
	l.until("the write waits for replica 17", func(s *Status) bool {
		return s.PendingCount == 1 && slices.Equal(s.Pending[0].Missing, []uint32{17}) && s.Pending[0].Waiting > 0.2 &&
			s.Members[1].Unacknowledged == 1 && s.Members[0].Unacknowledged == 0
	})
	l.until("replica 17 is silent, the others are not", func(s *Status) bool {
		return *s.Members[1].LastHeard > 1.5 && *s.Members[0].LastHeard < 1.4
	})
}

// TestHardwareAddressIsFollowed: a replica whose hardware address is not the one
// that was found at the start is reached once the neighbour table knows better.
func TestHardwareAddressIsFollowed(t *testing.T) {
	l := newLab(t, 2)
	wrong := net.HardwareAddr{0x02, 0, 0, 0, 0x77, 0x77}
	l.setNeighbour(l.nodes[2], wrong)
	l.serve()
	if mac := l.status().Members[0].MAC; mac != wrong.String() {
		t.Fatalf("the replica has the address %s, want %s from the neighbour table", mac, wrong)
	}
	if err := l.put(300 * time.Millisecond); !errors.Is(err, client.ErrUnknown) {
		t.Fatalf("a put with a replica out of reach: %v", err)
	}
	l.setNeighbour(l.nodes[2], l.nodes[2].MAC)
	if err := l.put(patience); err != nil {
		t.Error(err)
	}
}

// setNeighbour sets what the coordinator's host takes for a node's hardware address.
func (l *lab) setNeighbour(node *fabric.Node, mac net.HardwareAddr) {
	l.Helper()
	err := l.nodes[0].Do(func() error {
		device, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: device.Attrs().Index, IP: node.Addr.AsSlice(),
			HardwareAddr: mac, State: netlink.NUD_PERMANENT})
	})
	if err != nil {
		l.Fatal(err)
	}
}

func TestWhatKeepsACoordinatorFromStartingIsSaid(t *testing.T) {
	l := newLab(t, 2)
	l.options.ResolveTimeout = 300 * time.Millisecond
	at := netip.MustParseAddrPort
	good := l.options
	for want, spoil := range map[string]func(*Options){
		"device eth7":              func(o *Options) { o.Devices = []string{"eth7"} },
		"not an Ethernet device":   func(o *Options) { o.Devices, o.Listen = []string{"lo"}, at("127.0.0.1:7411") },
		"have the address":         func(o *Options) { o.Listen = at("10.77.0.9:7411") },
		"power of two":             func(o *Options) { o.Sessions = 100 },
		"replica 17: 10.77.0.77 d": func(o *Options) { o.Replicas[1].Address = at("10.77.0.77:7411") },
		"no route to 192.0.2.1":    func(o *Options) { o.Replicas[0].Address = at("192.0.2.1:7411") },
		"of this machine":          func(o *Options) { o.Replicas[0].Address = at("127.0.0.1:7411") },
		"read BPF object":          func(o *Options) { o.Object = filepath.Join(t.TempDir(), "none.o") },
		"status socket":            func(o *Options) { o.StatusSocket = t.TempDir() },
	} {
		l.options = good
		l.options.Replicas = slices.Clone(good.Replicas)
		spoil(&l.options)
		if err := l.start(); !errors.Is(err, ErrConfiguration) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	l.options = good
	if err := l.start(); err != nil {
		t.Fatalf("what failed before has left something behind: %v", err)
	}
	second := l.c
	l.options.StatusSocket = ""
	if err := l.start(); !errors.Is(err, ErrConfiguration) || !strings.Contains(err.Error(), "XDP program already") {
		t.Errorf("a second coordinator on the device got %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}
