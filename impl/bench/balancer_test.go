// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"dalio/protocol"
)

func testBalancers(t *testing.T) []Balancer {
	t.Helper()
	all, err := Balancers(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// readThrough has lanes read through a balancer until so many operations are done, and
// says what is wrong with how they reached the replicas.
func readThrough(t *testing.T, c Contender, operations uint64) error {
	t.Helper()
	_, _, around := newScene(t, testSettings(t), c)
	if err := around.Start(Work{}, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := around.awaitOperations(context.Background(), operations); err != nil {
		return err
	}
	awaitEachLane(t, around, 1)
	if err := around.Stop(); err != nil {
		return err
	}
	n := mustCount(t, around)
	if n.Operations() != n.Reads || n.In != 2*n.Reads {
		return fmt.Errorf("%d operations, %d reads and %d frames", n.Operations(), n.Reads, n.In)
	}
	var sum uint64
	for i := range around.site.Settings.Replicas {
		if sum += n.Served[i]; n.Served[i] == 0 {
			return fmt.Errorf("replica %d got none of %d reads", i, n.Reads)
		}
	}
	if sum != n.Reads {
		return fmt.Errorf("replicas served %d of %d reads", sum, n.Reads)
	}
	return nil
}

// TestBalancers has balancers give the reads to all replicas, and notices one that does
// not.
func TestBalancers(t *testing.T) {
	for _, b := range testBalancers(t) {
		t.Run(b.Name(), func(t *testing.T) {
			if err := readThrough(t, b, 10_000); err != nil {
				t.Error(err)
			}
			if err := readThrough(t, forgetful{b}, 10_000); err == nil {
				t.Error("a balancer without the last replica was not noticed")
			}
		})
	}
}

// TestSilentReplicas counts nothing when replicas don't answer: what a client sends is no
// message for them, unless they are behind a balancer.
func TestSilentReplicas(t *testing.T) {
	for _, b := range testBalancers(t) {
		t.Run(b.Name(), func(t *testing.T) {
			_, _, around := newScene(t, testSettings(t), knowing{b})
			if err := around.Start(Work{}, 10*time.Second); err != nil {
				t.Fatal(err)
			}
			// Every lane's request comes to a replica, which ignores it.
			awaitFaults(t, around)
			if c := mustCount(t, around); c.Operations() != 0 {
				t.Errorf("%d operations counted", c.Operations())
			}
		})
	}
}

// knowing is a balancer that is taken for a coordinator.
type knowing struct{ Contender }

func (knowing) Knows() Knowledge { return Messages }

// TestReplicasBehindBalancers compares what replicas answer a client's read with what a
// coordinator would have made of it, whatever port it comes from, and refuses what is no
// such read.
func TestReplicasBehindBalancers(t *testing.T) {
	b := newBoothFor(t, protocol.ReadResponse, Nothing)
	member := b.around.site.Settings.members()[1]
	request := protocol.Message{Type: protocol.ReadRequest, Session: 77, Request: 8, Key: b.keys[b.key], KeyHash: protocol.KeyHash(b.keys[b.key])}
	want := b.answer(protocol.ReadResponse)
	want.Request, want.Replica, want.Version, want.Writer = 8, member.ID, protocol.Version{}, 0
	for _, port := range []uint16{self().Port, firstPort, 40_000} {
		from := self()
		from.Port = port
		verdict, out := b.run(t, protocol.NewFrame(&request, from, member.Address))
		if verdict != xdpTransmit {
			t.Fatalf("verdict %d of a read from port %d", verdict, port)
		}
		b.compare(t, out, protocol.NewFrame(&want, member.Address, from))
	}
	for name, change := range map[string]func(m *protocol.Message, from, to *protocol.Address){
		"other hash":        func(m *protocol.Message, _, _ *protocol.Address) { m.KeyHash++ },
		"other variant":     func(m *protocol.Message, _, _ *protocol.Address) { m.Key = append([]byte("key-?"), m.Key[5:]...) },
		"shorter key":       func(m *protocol.Message, _, _ *protocol.Address) { m.Key = m.Key[:12] },
		"surplus bytes":     func(m *protocol.Message, _, _ *protocol.Address) { m.Value = []byte{1} },
		"a write":           func(m *protocol.Message, _, _ *protocol.Address) { m.Type = protocol.WriteRequest },
		"no such replica":   func(_ *protocol.Message, _, to *protocol.Address) { to.IP[3] += 100 },
		"other port":        func(_ *protocol.Message, _, to *protocol.Address) { to.Port++ },
		"past the balancer": func(_ *protocol.Message, from, _ *protocol.Address) { *from = client(b.lane) },
	} {
		before := mustCount(t, b.around)
		m, from, to := request, self(), member.Address
		change(&m, &from, &to)
		verdict, _ := b.run(t, protocol.NewFrame(&m, from, to))
		if c := mustCount(t, b.around); verdict != xdpDrop || sumOf(c.FaultsByName()) != sumOf(before.FaultsByName())+1 || c.Served != before.Served {
			t.Errorf("%s: verdict %d, faults %v", name, verdict, c.FaultsByName())
		}
	}
}

// TestWrongAnswersOfBalancers counts none of them, as of coordinators, but for versions.
func TestWrongAnswersOfBalancers(t *testing.T) {
	b, wrong := newBoothFor(t, protocol.ReadResponse, Nothing), uint64(0)
	all := maps.Clone(wrongAnswers)
	delete(all, "older version")
	all["of another port"] = nil
	for name, change := range all {
		b.open(t, protocol.ReadResponse)
		m, from, to := b.answer(protocol.ReadResponse), self(), client(b.lane)
		if change != nil {
			change(&m, &to)
		} else {
			from.Port++
		}
		verdict, _ := b.run(t, protocol.NewFrame(&m, from, to))
		wrong++
		c := mustCount(t, b.around)
		if verdict != xdpDrop || c.Operations() != 0 || sumOf(c.FaultsByName()) != wrong {
			t.Errorf("%s: verdict %d, %d operations, faults %v", name, verdict, c.Operations(), c.FaultsByName())
		}
	}
	m := b.answer(protocol.ReadResponse)
	b.open(t, protocol.ReadResponse)
	if verdict, _ := b.run(t, protocol.NewFrame(&m, self(), client(b.lane))); verdict != xdpTransmit {
		t.Errorf("verdict %d of a right answer", verdict)
	}
}

// TestBalancersOnlyRead refuses other work, and keys and values that sockets have no room
// for.
func TestBalancersOnlyRead(t *testing.T) {
	nginx := testBalancers(t)[0]
	s := testSettings(t)
	if _, err := Measure(t.Context(), s, nginx, Workload{"mixed", mixed}, Timing{Awake: programs.Awake}); !errors.Is(err, ErrSettings) {
		t.Errorf("Measure() of writes = %v, want %v", err, ErrSettings)
	}
	s.ValueSize = maxSocketSizes
	if _, err := Measure(t.Context(), s, nginx, Workload{}, Timing{Awake: programs.Awake}); !errors.Is(err, ErrSettings) {
		t.Errorf("Measure() of large values = %v, want %v", err, ErrSettings)
	}
}

// TestNginxMissing says what to do, and leaves nothing behind when nginx does not start.
func TestNginxMissing(t *testing.T) {
	n := testBalancers(t)[0].(Nginx)
	n.Module += ".gone"
	site, err := NewSite(testSettings(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Close)
	if _, err := n.Start(site); err == nil || !strings.Contains(err.Error(), n.Module) {
		t.Errorf("Start() without the module = %v", err)
	}
	// Whoever comes next finds the device free.
	if running, err := (NFTables{}).Start(site); err != nil {
		t.Error(err)
	} else {
		closeOrFail(t, running.Close)
	}
	tree := t.TempDir()
	if err := os.MkdirAll(tree+"/impl/bench/c", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(tree)
	if _, err := Balancers(tree); !errors.Is(err, ErrNginx) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "--balancers=false") {
		t.Errorf("Balancers() = %v, want %v and what to do", err, ErrNginx)
	}
}

// TestNginxHasRoom: the socket that requests come by takes up all that is in flight.
func TestNginxHasRoom(t *testing.T) {
	_, running, _ := newScene(t, testSettings(t), testBalancers(t)[0])
	pid := running.Processes()[0]
	if err := widen(pid); err != nil {
		t.Error(err)
	}
	if err := widen(os.Getpid()); err == nil {
		t.Error("a process without the socket was not noticed")
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(pid, &set); err != nil || set.Count() != 1 {
		t.Errorf("nginx may run on %d processors (%v)", set.Count(), err)
	}
}

// tables counts the tables of the packet filter in the calling thread's namespace.
func tables(t *testing.T) int {
	t.Helper()
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
