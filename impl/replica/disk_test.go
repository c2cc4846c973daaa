// SPDX-License-Identifier: Apache-2.0

package replica_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"dalio/impl/internal/failpoint"
	"dalio/impl/replica"
	"dalio/impl/replica/control"
	"dalio/impl/replica/durable"
	"dalio/protocol"
)

func openDisk(t *testing.T, dir string) *durable.Store {
	t.Helper()
	s, err := durable.Open(dir, durable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// since returns the values of the recent records above a version.
func (n *node) since(v protocol.Version) (values []string) {
	n.t.Helper()
	n.must(n.api.RecentSince(n.t.Context(), v, func(m *protocol.Message) error {
		if m.Type == protocol.Write {
			values = append(values, string(m.Value))
		}
		return nil
	}))
	return values
}

// TestDiskReturnsClosed restarts a replica with its disk: it knows what it was and
// holds what it acknowledged, and answers nothing until a later epoch opens it.
func TestDiskReturnsClosed(t *testing.T) {
	dir := t.TempDir()
	store := openDisk(t, dir)
	n := newNode(t, store)
	n.must(n.assign(16, 1))
	n.put("k", "settled", 1)
	settled := protocol.Version{Epoch: 1, Seq: 1}
	n.must(n.api.Settle(t.Context(), control.Settlement{Epoch: 1, Floor: settled, Collect: settled}))
	n.put("l", "recent", 2)
	before := n.status()
	n.must(n.end())
	n.must(store.Close())

	store = openDisk(t, dir)
	n = newNode(t, store)
	t.Cleanup(func() { n.must(n.end()); n.must(store.Close()) })
	n.id, n.epoch = 16, 1
	s := n.status()
	if s.ID != 16 || s.Epoch != 1 || s.Open || s.Shard != "s" || s.Floor != settled || s.Collect != settled ||
		s.Records != before.Records || s.Sessions != before.Sessions || s.Recent != 1 || s.Instance == before.Instance {
		t.Errorf("it came back as %+v, and was %+v", s, before)
	}
	if r := s.Returned; r == nil || *r != (control.Returned{Epoch: 1, Floor: settled, Collect: settled}) {
		t.Errorf("it says that it returned with %+v", r)
	}
	if d := s.Disk; d == nil || d.Starts != 2 || d.Name != before.Disk.Name || d.Syncs == 0 {
		t.Errorf("its disk is %+v, and was %+v", d, before.Disk)
	}
	if err := n.api.Open(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "restarted") {
		t.Errorf("opened in the epoch that it restarted in: %v", err)
	}
	ask := read("k")
	ask.Epoch, ask.Replica = 1, 16
	n.silent(ask)

	n.must(n.fence(2))
	if r := n.status().Returned; r == nil || r.Epoch != 1 || r.Fenced != 2 {
		t.Errorf("when fenced it says that it returned with %+v", r)
	}
	if got := n.since(protocol.Version{Epoch: 1, Seq: 1}); len(got) != 1 {
		t.Errorf("above its floor it has %q", got)
	}
	if got := n.since(protocol.Version{}); len(got) != 2 {
		t.Errorf("above zero it has %q", got)
	}
	n.must(n.api.Open(t.Context(), 2))
	n.epoch = 2
	if m := n.get("k"); string(m.Value) != "settled" {
		t.Errorf("k is %q", m.Value)
	}
	if m := n.get("l"); string(m.Value) != "recent" {
		t.Errorf("l is %q", m.Value)
	}
	if s := n.status(); s.Returned != nil || !s.Open {
		t.Errorf("after the opening it is %+v", s)
	}
}

// TestDiskUnderAnotherMembership joins a replica with its disk as a new member:
// what it held is hidden, and known to be from before after another restart, too.
func TestDiskUnderAnotherMembership(t *testing.T) {
	dir := t.TempDir()
	store := openDisk(t, dir)
	n := newNode(t, store)
	n.must(n.assign(16, 1))
	n.put("k", "old", 1)
	n.must(n.assign(33, 2))
	if m := n.get("k"); m.Version != (protocol.Version{}) {
		t.Errorf("k is from before: %+v", m)
	}
	n.put("l", "new", 2)
	n.must(n.end())
	n.must(store.Close())

	store = openDisk(t, dir)
	n = newNode(t, store)
	t.Cleanup(func() { n.must(n.end()); n.must(store.Close()) })
	if err := n.assign(33, 2); err == nil {
		t.Error("assigned an id that it had")
	}
	n.must(n.fence(3))
	n.must(n.api.Open(t.Context(), 3))
	n.id, n.epoch = 33, 3
	if m := n.get("k"); m.Version != (protocol.Version{}) {
		t.Errorf("k is from before: %+v", m)
	}
	if m := n.get("l"); string(m.Value) != "new" {
		t.Errorf("l is %q", m.Value)
	}
	if s := n.status(); s.Sessions != 1 {
		t.Errorf("%d sessions, want that of this membership", s.Sessions)
	}
}

// TestFailingDiskEndsTheReplica acknowledges nothing that is not durable.
func TestFailingDiskEndsTheReplica(t *testing.T) {
	t.Setenv(failpoint.Environment, "1")
	store := openDisk(t, t.TempDir())
	srv, err := replica.Listen("127.0.0.1:0", replica.Options{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(t.Context()) }()
	at := srv.Addr().(*net.UDPAddr)
	api := control.NewClient(at.AddrPort(), control.Options{})
	defer api.Close()
	if err := api.Assign(t.Context(), control.Assignment{Shard: "s", ID: testID, Epoch: testEpoch}); err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp4", nil, at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := failpoint.Arm("replica.fsync", failpoint.Fail); err != nil {
		t.Fatal(err)
	}
	m := write("k", "v", 1)
	if _, err := conn.Write(m.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err == nil || !strings.Contains(err.Error(), "nothing more can be acknowledged") || !strings.Contains(err.Error(), "replica.fsync") {
		t.Errorf("the replica ended with %v", err)
	}
	_ = conn.SetReadDeadline(time.Now())
	if n, err := conn.Read(make([]byte, 2048)); err == nil {
		t.Errorf("it answered with %d bytes", n)
	}
	if err := store.Close(); err == nil || !strings.Contains(err.Error(), "replica.fsync") {
		t.Errorf("the store closed with %v", err)
	}
}
