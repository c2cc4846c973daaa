// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// still is a data plane in which nothing changes.
type still struct {
	dataPlane
	state protocol.Coordinator
}

func (s *still) State() (*protocol.Coordinator, error) { return &s.state, nil }

// stored is a configuration that is asked to change.
type stored struct {
	Shared
	config config.Config
	swaps  []config.Config
}

func (s *stored) Load(context.Context) (config.Config, config.Revision, error) {
	return s.config, 1, nil
}

func (s *stored) Swap(_ context.Context, _ config.Revision, c config.Config) (config.Revision, error) {
	s.swaps = append(s.swaps, c)
	return 2, nil
}

func placeOf(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(20 + i)}), protocol.Port)
}

// ruled is a manager that asks nobody: all that it knows is what the test says. Two
// members are in sync, and a third address belongs to the shard.
func ruled(data dataPlane) (*manager, *stored) {
	o := Options{Shard: "s", Name: "a", Lease: time.Second, Sessions: 64, SuspectAfter: time.Hour,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	store := &stored{config: config.Config{Epoch: 5, Coordinator: "a", Generation: 1, MinMembers: 1, Sessions: 64}}
	m := &manager{Coordinator: &Coordinator{options: o, plane: &plane{data: data}}, shared: store, steps: membership.NewManager(),
		began: time.Now(), awake: time.Now(), ready: make(chan struct{}), wake: make(chan struct{}, 1), followers: map[netip.AddrPort]*follower{}}
	m.asker = &asker{shard: o.Shard, sources: map[protocol.ReplicaID]config.Member{}, clientAt: m.clientAt}
	m.executor = &membership.Executor{Plane: m.plane, Replicas: m.asker, Store: store, Now: m.now}
	for i := range 3 {
		a := placeOf(i)
		store.config.Replicas = append(store.config.Replicas, config.Replica{Address: a})
		f := &follower{address: a, known: true, begun: time.Now(), heard: time.Now(), status: control.Status{Shard: "s"}}
		m.followers[a] = f
		if i == 2 {
			continue
		}
		f.status.ID = protocol.ReplicaID(protocol.MaxMembers + i)
		store.config.Members = append(store.config.Members, config.Member{ID: f.status.ID, Address: a, InSync: true})
		m.plane.kernel.IDs[i] = f.status.ID
		m.plane.kernel.Members |= 1 << i
	}
	m.plane.kernel.Epoch, m.plane.kernel.Serving, m.plane.kernel.MinMembers = 5, m.plane.kernel.Members, 1
	m.known, m.revision, m.loaded = store.config, 1, true
	return m, store
}

// TestCollectMark: tombstones are collected only up to what every member has
// confirmed to be settled, and none while anybody catches up, who might miss one
// (hazards 26 and 40).
func TestCollectMark(t *testing.T) {
	settled, before := protocol.Version{Epoch: 5, Seq: 90}, protocol.Version{Epoch: 5, Seq: 40}
	for what, c := range map[string]struct {
		change  func(m *manager, c *config.Config, last *floor)
		joining bool
		want    protocol.Version
	}{
		"all have confirmed it":             {func(*manager, *config.Config, *floor) {}, false, settled},
		"one has not":                       {func(_ *manager, _ *config.Config, last *floor) { delete(last.by, 17) }, false, before},
		"one is joining":                    {func(*manager, *config.Config, *floor) {}, true, before},
		"one is not in sync":                {func(_ *manager, c *config.Config, _ *floor) { c.Members[1].InSync = false }, false, before},
		"it was confirmed in another epoch": {func(_ *manager, c *config.Config, _ *floor) { c.Epoch = 6 }, false, before},
		"one has collected more": {func(m *manager, _ *config.Config, last *floor) {
			m.followers[placeOf(1)].status.Collect = protocol.Version{Epoch: 5, Seq: 95}
		}, false, protocol.Version{Epoch: 5, Seq: 95}},
	} {
		m, store := ruled(&still{})
		m.followers[placeOf(0)].status.Collect = before
		known := store.config.Clone()
		last := floor{told: settled, by: map[protocol.ReplicaID]bool{16: true, 17: true}}
		c.change(m, &known, &last)
		if got := m.collectMark(&known, &last, c.joining); got != c.want {
			t.Errorf("%s: the mark is %v, want %v", what, got, c.want)
		}
		if again := m.asker.collected(protocol.Version{}); again != c.want {
			t.Errorf("%s: the mark falls to %v", what, again)
		}
	}
}

// member is a replica that tells its state, and keeps what it was told to be settled.
type member struct {
	status control.Status
	told   control.Settlement
}

func (r *member) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if request.URL.Path == control.SettlePath {
		_ = json.NewDecoder(request.Body).Decode(&r.told)
		return
	}
	_ = json.NewEncoder(w).Encode(r.status) // Who asks tells what is wrong with it.
}

// surround has the manager ask these when it asks its members.
func surround(t *testing.T, m *manager, members ...*member) {
	clients := map[netip.AddrPort]*control.Client{}
	for i, r := range members {
		server := httptest.NewServer(r)
		t.Cleanup(server.Close)
		clients[placeOf(i)] = control.NewClient(netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://")), control.Options{})
		t.Cleanup(clients[placeOf(i)].Close)
	}
	m.asker.clientAt = func(a netip.AddrPort) *control.Client { return clients[a] }
}

// TestJoinersLearnTheMark: a coordinator that has told the members of no mark yet
// asks them before anybody joins (hazard 40).
func TestJoinersLearnTheMark(t *testing.T) {
	m, store := ruled(&still{})
	low, high := protocol.Version{Epoch: 5, Seq: 3}, protocol.Version{Epoch: 5, Seq: 9}
	members := []*member{{status: control.Status{ID: 16, Collect: low}}, {status: control.Status{ID: 17, Collect: high}}}
	surround(t, m, members...)
	if err := m.learnMark(t.Context(), &store.config); err != nil || m.asker.collected(protocol.Version{}) != high {
		t.Errorf("%v, mark %v, want %v", err, m.asker.collect, high)
	}
	members[0].status.ID, members[1].status.ID = 33, 0
	if err := m.learnMark(t.Context(), &store.config); err == nil {
		t.Error("nobody in sync answered, and that was no error")
	}
}

// late is a data plane with somebody who joins while its floor is looked for.
type late struct {
	still
	join func()
}

func (l *late) Floor() (protocol.Version, error) {
	l.join()
	return protocol.Version{Epoch: 5, Seq: 95}, nil
}

// TestNothingIsCollectedOnceSomebodyJoins: who began to join while the mark was
// being raised may not know of it (hazard 40).
func TestNothingIsCollectedOnceSomebodyJoins(t *testing.T) {
	for _, joins := range []bool{false, true} {
		data := &late{join: func() {}}
		m, _ := ruled(data)
		if joins {
			data.join = func() { m.joining = map[netip.AddrPort]protocol.ReplicaID{placeOf(2): 49} }
		}
		members := []*member{{}, {}}
		surround(t, m, members...)
		m.floor = floor{told: protocol.Version{Epoch: 5, Seq: 90}, by: map[protocol.ReplicaID]bool{16: true, 17: true}}
		if err := m.settleOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, r := range members {
			if r.told.Floor.Seq != 95 || (r.told.Collect.Seq == 90) == joins {
				t.Errorf("somebody joins: %t; a member was told %+v", joins, r.told)
			}
		}
	}
}

// TestReplicasThatAreNotOurs: who belongs to another shard is not joined, which
// would destroy what it holds, and who answers a fence under another id has
// forgotten what the member held (hazard 25).
func TestReplicasThatAreNotOurs(t *testing.T) {
	m, _ := ruled(&still{})
	told := m.tell(replicaView{known: true, status: control.Status{Shard: "other", ID: 16}})
	if told.Known || !told.Suspected {
		t.Errorf("a replica of another shard is taken for %+v", told)
	}
	var assigned control.Assignment
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case control.FencePath:
			_ = json.NewEncoder(w).Encode(control.Fenced{ID: 33})
		case control.AssignPath:
			_ = json.NewDecoder(r.Body).Decode(&assigned)
		}
	}))
	defer server.Close()
	address := netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
	client := control.NewClient(address, control.Options{})
	defer client.Close()
	m.asker.clientAt = func(netip.AddrPort) *control.Client { return client }
	if err := m.asker.Fence(t.Context(), config.Member{ID: 17, Address: address}, 6); err == nil {
		t.Error("a replica that is member 33 was fenced as member 17")
	}
	// Who joins must know up to where tombstones are gone.
	mark := m.asker.collected(protocol.Version{Epoch: 5, Seq: 7})
	_ = m.asker.Assign(t.Context(), config.Member{ID: 49, Address: address}, 6, 64) // What it was sent is of interest.
	if assigned.Collect != mark || assigned.Shard != "s" || assigned.Epoch != 6 {
		t.Errorf("a joining replica was told %+v, want the mark %v", assigned, mark)
	}
}

// TestMintingLooksAtThePendingWrites: that an index is counted by a pending write is
// looked up when an id is minted, not before (hazard 21).
func TestMintingLooksAtThePendingWrites(t *testing.T) {
	data := &still{state: protocol.Coordinator{Sessions: []protocol.SessionEntry{{Owner: 1, Request: 1, Seq: 9, Acks: 0b0101}}}}
	m, store := ruled(data)
	m.steps.Succeeded(&membership.Action{Kind: membership.Confirm}, 0)
	v := m.view()
	a := m.steps.Next(&v)
	if a.Kind != membership.Mint {
		t.Fatalf("the next step is %q: %+v", a.Kind, a)
	}
	if err := m.take(t.Context(), &a, &v); err != nil {
		t.Fatal(err)
	}
	if len(store.swaps) != 1 || a.Members[0].ID.Index() != 3 {
		t.Errorf("minted %+v, want index 3: a pending write counts 2", a.Members)
	}
}

// TestWhoWakesUpWaitsForAllAnew: after a time in which this process did not run, one
// member is heard before it has probed again. The others were not silent; after a time
// in which it did run, they were.
func TestWhoWakesUpWaitsForAllAnew(t *testing.T) {
	for _, c := range []struct {
		since     time.Duration
		suspected bool
	}{{time.Second, false}, {probeInterval, true}} {
		m, store := ruled(&still{})
		m.options.SuspectAfter = 200 * time.Millisecond
		m.awake = time.Now().Add(-c.since)
		for _, f := range m.followers {
			f.begun, f.heard = f.begun.Add(-time.Minute), f.heard.Add(-time.Second)
		}
		m.followers[placeOf(0)].hear(time.Now(), true)
		v := m.view()
		for i, member := range store.config.Members {
			if got, want := v.Replicas[member.Address].Suspected, c.suspected && i != 0; got != want {
				t.Errorf("awake %v ago: member %d is suspected: %v, want %v", c.since, i, got, want)
			}
		}
	}
}

// TestTakingOverAllowsForDrift: the clock by which a lease is waited for may be the
// faster one (hazard 29).
func TestTakingOverAllowsForDrift(t *testing.T) {
	m, _ := ruled(&still{})
	if v := m.view(); v.Timing.Lease < m.options.Lease+m.options.Lease/100 {
		t.Errorf("a lease of %v is waited for during %v", m.options.Lease, v.Timing.Lease)
	}
}

// TestTablesOfOneSize: the records of a session are of its slot, so all coordinators
// need tables of one size (hazard 11).
func TestTablesOfOneSize(t *testing.T) {
	m, store := ruled(&still{})
	store.config.Sessions = 128
	if err := m.load(t.Context()); !errors.Is(err, ErrConfiguration) {
		t.Errorf("a table of %d in a shard with %d: %v", m.options.Sessions, store.config.Sessions, err)
	}
}

// TestStateFromBeforeAStep: an answer that a replica gave before a step changed its
// state, and that comes after it, is not believed (hazard 28).
func TestStateFromBeforeAStep(t *testing.T) {
	came, goOn := make(chan struct{}), make(chan struct{})
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		id := protocol.ReplicaID(32)
		if asked.Add(1) == 1 {
			id = 16
			close(came)
			<-goOn
		}
		_ = json.NewEncoder(w).Encode(control.Status{Instance: "i", ID: id})
	}))
	defer server.Close()
	letGo := sync.OnceFunc(func() { close(goOn) })
	defer letGo() // Else the server would wait, should this fail before.
	address := netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
	f := &follower{address: address, client: control.NewClient(address, control.Options{}), changed: func(bool) {}, now: time.Now}
	defer f.client.Close()
	early := make(chan error, 1)
	go func() { early <- f.poll(t.Context()) }()
	<-came
	if err := f.ask(t.Context(), func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	letGo()
	if err := <-early; err != nil {
		t.Fatal(err)
	}
	if id := f.look(time.Now(), time.Hour).status.ID; id != 32 {
		t.Errorf("after the step the replica is taken for %d, which it was before", id)
	}
}
