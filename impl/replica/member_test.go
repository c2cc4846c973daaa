// SPDX-License-Identifier: Apache-2.0

package replica_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"dalio/impl/replica"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// node is a replica with its control API, as a control plane and a coordinator
// see it.
type node struct {
	*peer
	api     *control.Client
	address netip.AddrPort
	id      protocol.ReplicaID
	epoch   protocol.Epoch
}

// newNode starts a replica that is no member of anything, with a read path if one is
// given.
func newNode(t testing.TB, store replica.Store, paths ...replica.ReadPath) *node {
	t.Helper()
	return newNodeWith(t, replica.Options{Store: store}, paths...)
}

func newNodeWith(t testing.TB, o replica.Options, paths ...replica.ReadPath) *node {
	t.Helper()
	srv, err := replica.Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		srv.AnswerBy(path)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx) }()
	address := srv.Addr().(*net.UDPAddr).AddrPort()
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(address))
	if err != nil {
		t.Fatal(err)
	}
	n := &node{address: address, api: control.NewClient(address, control.Options{})}
	n.peer = &peer{t: t, conn: conn, srv: srv, end: sync.OnceValue(func() error {
		n.api.Close()
		cancel()
		conn.Close()
		select {
		case err := <-served:
			return err
		case <-time.After(patience):
			return errors.New("the server did not stop")
		}
	})}
	t.Cleanup(func() {
		if err := n.end(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (n *node) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) assign(id protocol.ReplicaID, e protocol.Epoch) error {
	err := n.api.Assign(n.t.Context(), control.Assignment{Shard: "s", ID: id, Epoch: e, Sessions: 64})
	if err == nil {
		n.id, n.epoch = id, e
	}
	return err
}

func (n *node) fence(e protocol.Epoch) error {
	_, err := n.api.Fence(n.t.Context(), control.Fence{Shard: "s", Epoch: e})
	return err
}

func (n *node) status() control.Status {
	n.t.Helper()
	s, err := n.api.Status(n.t.Context())
	n.must(err)
	return s
}

// put has the replica apply a write, as member of its epoch.
func (n *node) put(key, value string, seq uint64) {
	n.t.Helper()
	m := write(key, value, seq)
	m.Epoch, m.Replica, m.Version.Epoch, m.Session, m.Writer = n.epoch, n.id, n.epoch, sessionOf(seq), sessionOf(seq)
	n.send(m)
	if a := n.receive(); a.Type != protocol.WriteAck || a.Version.Seq != seq {
		n.t.Fatalf("write %d was answered with %+v", seq, a)
	}
}

func sessionOf(seq uint64) protocol.SessionID { return protocol.MintSessionID(1, 1, int(seq%8)) }

// get returns what the replica holds.
func (n *node) get(key string) protocol.Message {
	n.t.Helper()
	m := read(key)
	m.Epoch, m.Replica = n.epoch, n.id
	n.send(m)
	return n.receive()
}

// silent expects that the replica does not answer.
func (n *node) silent(m protocol.Message) {
	n.t.Helper()
	n.send(m)
	probe := protocol.Message{Type: protocol.Probe, Request: 77, Sent: 5}
	n.send(probe) // Its answer comes after that of the message, if there were any.
	if a := n.receive(); a.Type != protocol.ProbeReply || a.Request != 77 || a.Sent != 5 {
		n.t.Fatalf("a message that must be refused was answered with %+v", a)
	}
}

func refused(err error, with string) bool {
	var e *control.Error
	return errors.As(err, &e) && e.Code == 409 && strings.Contains(err.Error(), with)
}

func TestLifeOfAMember(t *testing.T) {
	n := newNode(t, nil)
	first := n.status()
	if first.ID != 0 || first.Open || first.Instance == "" {
		t.Errorf("at first: %+v", first)
	}
	n.silent(read("k"))
	n.must(n.assign(17, 3))
	n.put("k", "v", 1)
	if m := n.get("k"); string(m.Value) != "v" {
		t.Errorf("it holds %+v", m)
	}
	old := read("k")
	old.Epoch, old.Replica = 3, 17
	n.must(n.fence(4))
	n.silent(old)
	n.epoch = 4
	now := old
	now.Epoch = 4
	n.silent(now) // Fenced, and not open.
	if s := n.status(); s.Epoch != 4 || s.Open || s.Recent != 1 || s.Newest != (protocol.Version{Epoch: 3, Seq: 1}) {
		t.Errorf("fenced: %+v", s)
	}
	n.must(n.api.Open(t.Context(), 4))
	if m := n.get("k"); string(m.Value) != "v" {
		t.Errorf("in the new epoch it holds %+v", m)
	}
	if s := n.status(); s.Recent != 0 || s.Floor != (protocol.Version{Epoch: 4}) {
		t.Errorf("open: %+v", s)
	}
	n.must(n.api.Expel(t.Context(), 16)) // Somebody else's.
	if m := n.get("k"); string(m.Value) != "v" {
		t.Errorf("after another's expulsion: %+v", m)
	}
	n.must(n.api.Expel(t.Context(), 17))
	n.silent(now)
	n.must(n.assign(33, 4))
	if m := n.get("k"); m.Op != protocol.OpNone {
		t.Errorf("under a new id a volatile replica holds %+v", m)
	}
}

func TestRefusedChanges(t *testing.T) {
	n := newNode(t, nil)
	n.must(n.assign(33, 3))
	for what, c := range map[string]struct {
		err  error
		with string
	}{
		"an earlier epoch":    {n.assign(49, 2), "from the past"},
		"an earlier id":       {n.assign(17, 3), "from the past"},
		"the id of another":   {n.assign(34, 3), "from the past"},
		"no id":               {n.assign(3, 3), "generation"},
		"another shard":       {n.api.Assign(t.Context(), control.Assignment{Shard: "other", ID: 49, Epoch: 3}), "belongs to shard"},
		"a fence of the past": {n.fence(2), "replaced"},
		"open the future":     {n.api.Open(t.Context(), 4), "can't be opened"},
		"settle the past":     {n.api.Settle(t.Context(), control.Settlement{Epoch: 2}), "settled"},
		"install when open":   {n.api.Install(t.Context(), 3, messages(protocol.Message{Type: protocol.WriteAck})), "not fenced"},
		"somebody else's":     {n.api.CatchUp(t.Context(), control.CatchUp{ID: 17, Epoch: 3, Source: n.address}), "not member 17"},
	} {
		if !refused(c.err, c.with) {
			t.Errorf("%s: %v, want a refusal with %q", what, c.err, c.with)
		}
	}
	n.must(n.assign(33, 3)) // Asked twice.
	n.put("k", "v", 1)
	n.must(n.assign(33, 3))
	if m := n.get("k"); string(m.Value) != "v" {
		t.Error("to be assigned twice made the replica forget")
	}
}

func messages(all ...protocol.Message) iter.Seq[*protocol.Message] {
	return func(yield func(*protocol.Message) bool) {
		for i := range all {
			if !yield(&all[i]) {
				return
			}
		}
	}
}

// TestRecovery takes two replicas that differ through a change of epoch.
func TestRecovery(t *testing.T) {
	a, b := newNode(t, nil), newNode(t, nil)
	a.must(a.assign(16, 1))
	b.must(b.assign(17, 1))
	for seq := uint64(1); seq <= 20; seq++ {
		for _, n := range []*node{a, b} {
			n.put(fmt.Sprint("k", seq), "both", seq)
		}
	}
	settled := control.Settlement{Epoch: 1, Floor: protocol.Version{Epoch: 1, Seq: 20}}
	a.must(a.api.Settle(t.Context(), settled))
	b.must(b.api.Settle(t.Context(), settled))
	a.put("k1", "only a", 21)
	b.put("k2", "only b", 22)
	b.put("k1", "newer", 23)

	recent := map[string][]protocol.Message{}
	for name, n := range map[string]*node{"a": a, "b": b} {
		n.must(n.fence(2))
		n.must(n.api.Recent(t.Context(), func(m *protocol.Message) error {
			m.Key, m.Value = append([]byte(nil), m.Key...), append([]byte(nil), m.Value...)
			recent[name] = append(recent[name], *m)
			return nil
		}))
	}
	var records, sessions int
	for _, m := range recent["b"] {
		if m.Type == protocol.Write {
			records++
		} else {
			sessions++
		}
	}
	if records != 2 || sessions != 8 {
		t.Errorf("b tells of %d recent records and %d sessions, want 2 and 8", records, sessions)
	}
	a.must(a.api.Install(t.Context(), 2, messages(recent["b"]...)))
	b.must(b.api.Install(t.Context(), 2, messages(recent["a"]...)))
	for _, n := range []*node{a, b} {
		n.must(n.api.Open(t.Context(), 2))
		n.epoch = 2
		if one, two := n.get("k1"), n.get("k2"); string(one.Value) != "newer" || string(two.Value) != "only b" {
			t.Errorf("after the recovery: %q and %q", one.Value, two.Value)
		}
	}
	if x, y := a.status(), b.status(); x.Records != y.Records || x.Bytes != y.Bytes || x.Recent != 0 {
		t.Errorf("a: %+v\nb: %+v", x, y)
	}
}

func TestDamagedInstallationsAreRefused(t *testing.T) {
	n := newNode(t, nil)
	n.must(n.assign(16, 1))
	n.must(n.fence(2))
	good := write("k", "v", 1)
	good.KeyHash++
	err := n.api.Install(t.Context(), 2, messages(good))
	var e *control.Error
	if !errors.As(err, &e) || e.Code != 400 || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a record whose hash is not its key's: %v", err)
	}
}

// TestCollectedTombstones: below the mark a late write is acknowledged and not
// applied, whether or not the tombstone is still there (hazard 26).
func TestCollectedTombstones(t *testing.T) {
	n := newNode(t, nil)
	n.must(n.assign(16, 1))
	n.put("k", "v", 1)
	gone := write("k", "", 2)
	gone.Op, gone.Epoch, gone.Replica, gone.Version.Epoch, gone.Digest = protocol.OpDelete, 1, 16, 1, protocol.Digest([]byte("k"), nil)
	n.send(gone)
	n.receive()
	mark := protocol.Version{Epoch: 1, Seq: 2}
	n.must(n.api.Settle(t.Context(), control.Settlement{Epoch: 1, Floor: mark, Collect: mark}))
	if s := n.status(); s.Records != 0 || s.Bytes != 0 {
		t.Errorf("after the collection: %+v", s)
	}
	n.put("k", "v", 1)
	if m := n.get("k"); m.Op != protocol.OpNone {
		t.Errorf("a late write resurrected %+v", m)
	}
	n.put("k", "w", 3)
	if m := n.get("k"); string(m.Value) != "w" {
		t.Errorf("a new write: %+v", m)
	}
}

// TestRecordsBringTheirSessions: a record that was copied is its writer's session
// record, too. Recovered from here alone, the write is committed, and its retry
// must not be taken for a new one.
func TestRecordsBringTheirSessions(t *testing.T) {
	n := newNode(t, nil)
	n.must(n.assign(16, 1))
	n.must(n.fence(2))
	m := write("k", "v", 9)
	m.Version.Epoch, m.Writer, m.Request = 1, sessionOf(5), 12
	n.must(n.api.Install(t.Context(), 2, messages(m)))
	var got []protocol.SessionRecord
	n.must(n.api.Recent(t.Context(), func(m *protocol.Message) error {
		got = append(got, protocol.RecordOf(m))
		return nil
	}))
	// The record, as it is told, says of its writer what the session record does.
	if len(got) != 2 || got[0] != got[1] || got[0].Session != sessionOf(5) || got[0].Request != 12 || got[0].Version != m.Version || got[0].Digest != m.Digest {
		t.Errorf("session records %+v", got)
	}

	joiner := newNode(t, nil)
	joiner.must(joiner.assign(17, 2))
	n.must(n.api.Open(t.Context(), 2))
	if p := joiner.catchUp(n, 0); p.State != control.Done {
		t.Fatalf("catch up: %+v", p)
	}
	if s := joiner.status(); s.Sessions != 1 {
		t.Errorf("the joiner has %d session records", s.Sessions)
	}
}
