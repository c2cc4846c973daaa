// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// TestDiskFromThePast looks at what a replica remembered when it came back.
func TestDiskFromThePast(t *testing.T) {
	at := func(e protocol.Epoch, seq uint64) protocol.Version { return protocol.Version{Epoch: e, Seq: seq} }
	for name, c := range map[string]struct {
		returned control.Returned
		collect  protocol.Version
		old      bool
	}{
		"knows all":                             {control.Returned{Epoch: 3, Floor: at(3, 9)}, at(3, 9), false},
		"joined when that was collected":        {control.Returned{Epoch: 3, Floor: at(3, 0), Collect: at(3, 9)}, at(3, 9), false},
		"does not know what was settled":        {control.Returned{Epoch: 3, Floor: at(3, 8), Collect: at(3, 2)}, at(3, 9), true},
		"is being recovered from":               {control.Returned{Epoch: 2, Fenced: 3, Floor: at(3, 9)}, at(3, 0), false},
		"was fenced too late":                   {control.Returned{Epoch: 2, Fenced: 4, Floor: at(3, 9)}, at(3, 0), true},
		"does not know an epoch it was in":      {control.Returned{Epoch: 2, Floor: at(3, 9)}, at(3, 0), true},
		"missed an epoch that others opened in": {control.Returned{Epoch: 3, Floor: at(3, 9)}, at(3, 0), false},
	} {
		t.Run(name, func(t *testing.T) {
			addresses := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:7411"), netip.MustParseAddrPort("10.0.0.3:7411")}
			nowhere := func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }
			m := &manager{Coordinator: &Coordinator{options: Options{Logger: slog.New(slog.DiscardHandler)}}, followers: map[netip.AddrPort]*follower{}}
			v := membership.View{Replicas: map[netip.AddrPort]membership.Replica{}}
			v.Config.History = []config.Opening{{Epoch: 3, Members: []protocol.ReplicaID{16, 17}}, {Epoch: 4, Members: []protocol.ReplicaID{17}}}
			for i, a := range addresses {
				f := newFollower(t.Context(), a, nowhere, func(bool) {})
				t.Cleanup(f.close)
				m.followers[a] = f
				id := protocol.ReplicaID(16 + i)
				f.status = control.Status{ID: id, Collect: c.collect}
				v.Config.Members = append(v.Config.Members, config.Member{ID: id, Address: a, InSync: true})
				v.Replicas[a] = membership.Replica{Known: true, ID: id}
			}
			m.followers[addresses[0]].status = control.Status{ID: 16, Returned: &c.returned}
			v.Replicas[addresses[0]] = membership.Replica{Known: true, ID: 16, Returned: true}
			if s := m.describe(addresses[0].String(), replicaView{status: m.followers[addresses[0]].status, known: true}, &v.Config, &membership.Kernel{}, time.Now()); s.State != "returned" {
				t.Errorf("it is told to be %q", s.State)
			}
			m.noteOld(&v)
			if got := v.Replicas[addresses[0]].Old; got != c.old {
				t.Errorf("from the past: %v, want %v", got, c.old)
			}
			if v.Replicas[addresses[1]].Old {
				t.Error("the one that has not gone away has a disk from the past")
			}
		})
	}
}

// TestOldDisksAreToldOnce: the members are looked at many times a second.
func TestOldDisksAreToldOnce(t *testing.T) {
	m, warnings := &manager{}, 0
	for range 3 {
		for _, id := range []protocol.ReplicaID{16, 17} {
			if m.warnedOf(id) {
				warnings++
			}
		}
	}
	if warnings != 2 {
		t.Errorf("%d warnings of two disks", warnings)
	}
	if !m.warnedOf(32) {
		t.Error("no warning of the next one with the same index")
	}
}

// TestUnconfirmedUntilHeardOpen: after one member was found to have come back, another
// one may have ended with it until it answers, and as one that is open.
func TestUnconfirmedUntilHeardOpen(t *testing.T) {
	now := time.Now()
	addresses := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:7411"), netip.MustParseAddrPort("10.0.0.3:7411")}
	m := &manager{Coordinator: &Coordinator{}, followers: map[netip.AddrPort]*follower{}}
	for i, a := range addresses {
		m.followers[a] = &follower{address: a, now: func() time.Time { return now }}
		m.known.Members = append(m.known.Members, config.Member{ID: protocol.ReplicaID(16 + i), Address: a, InSync: true})
	}
	answer := func(i int, s protocol.Status) {
		now = now.Add(time.Millisecond)
		m.answered(addresses[i], &protocol.Message{Type: protocol.ProbeReply, Replica: m.known.Members[i].ID, Status: s}, now)
	}
	tell := func(returned *control.Returned) {
		now = now.Add(time.Millisecond)
		m.followers[addresses[0]].told(control.Status{ID: 16, Returned: returned}, 0)
	}
	check := func(when string, want bool) {
		t.Helper()
		v := membership.View{Config: m.known, Replicas: map[netip.AddrPort]membership.Replica{}}
		looks := map[netip.AddrPort]replicaView{}
		for a, f := range m.followers {
			looks[a], v.Replicas[a] = f.look(now, time.Second), membership.Replica{Returned: f.status.Returned != nil}
		}
		noteUnconfirmed(&v, looks)
		if got := v.Replicas[addresses[1]].Unconfirmed; got != want {
			t.Errorf("%s the other one is unconfirmed: %v, want %v", when, got, want)
		}
	}
	answer(1, protocol.StatusOK)
	check("while nobody has come back", false)
	tell(&control.Returned{Epoch: 3})
	check("before it is heard", true)
	answer(1, protocol.StatusBusy)
	check("while it answers as one that is closed", true)
	answer(1, protocol.StatusOK)
	check("when it is heard", false)
	tell(&control.Returned{Epoch: 3})
	check("when the same is told again", false)
	tell(nil)
	tell(&control.Returned{Epoch: 3})
	check("when another one has come back anew", true)
}
