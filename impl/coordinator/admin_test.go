// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"dalio/impl/config"
	"dalio/protocol"
)

// threeMembers is the configuration of a shard of three, of which the third is not
// in sync.
func threeMembers() config.Config {
	c := config.Config{Epoch: 2, Coordinator: "a", Generation: 1, MinMembers: 2, Sessions: 64}
	for i := range 3 {
		a := netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:7411", 2+i))
		c.Members = append(c.Members, config.Member{ID: protocol.ReplicaID(16 + i), Address: a, InSync: i < 2})
		c.Replicas = append(c.Replicas, config.Replica{Address: a})
	}
	return c
}

func TestWhatAnOperatorMayAskFor(t *testing.T) {
	for _, c := range []struct {
		do, replica, by string
		want            error
		said            string
	}{
		{"add", "10.0.0.9:7411", "", nil, ""},
		{"add", "10.0.0.2:7411", "", ErrRefused, "belongs to the shard already"},
		{"add", "nowhere", "", ErrConfiguration, "want IP:PORT"},
		{"remove", "18", "", nil, ""},
		{"remove", "16", "", ErrRefused, "dalio member least 1"},
		{"remove", "10.0.0.3:7411", "", ErrRefused, "fewer than 2"},
		{"remove", "99", "", ErrRefused, "no member 99"},
		{"remove", "10.0.0.9:7411", "", ErrRefused, "does not belong"},
		{"drain", "18", "", nil, ""},
		{"drain", "16", "", ErrRefused, "fewer than 2"},
		{"replace", "16", "10.0.0.9:7411", nil, ""},
		{"replace", "16", "10.0.0.3:7411", ErrRefused, "belongs to the shard already"},
		{"replace", "16", "", ErrConfiguration, "want IP:PORT"},
		{"promote", "16", "", ErrConfiguration, "want add, remove, drain, replace or least"},
	} {
		before := threeMembers()
		next, err := MemberChange{Do: c.do, Replica: c.replica, By: c.by}.apply(before)
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.said) {
			t.Errorf("%s %s %s: %v; want %v, %q", c.do, c.replica, c.by, err, c.want, c.said)
		}
		if err == nil && next.Check() != nil {
			t.Errorf("%s %s %s: %v", c.do, c.replica, c.by, next.Check())
		}
		if len(before.Replicas) != 3 || before.Replicas[0].Drained {
			t.Fatal("the configuration that was to be changed is another one now")
		}
	}
	for least, want := range map[int]error{0: ErrConfiguration, 1: nil, 2: nil, 3: ErrRefused, 17: ErrConfiguration} {
		next, err := MemberChange{Do: "least", MinMembers: least}.apply(threeMembers())
		if !errors.Is(err, want) || err == nil && next.MinMembers != least {
			t.Errorf("at least %d members with two in sync: %v; want %v", least, err, want)
		}
	}
	c := threeMembers()
	c.Members[1].InSync = false
	for _, do := range []string{"remove", "drain"} {
		// That there are too few already keeps nobody who does not count.
		if _, err := (MemberChange{Do: do, Replica: "17"}).apply(c); err != nil {
			t.Errorf("%s of one that is not in sync: %v", do, err)
		}
	}
	// The last one in sync can't go in any way.
	c.MinMembers = 1
	for _, do := range []string{"remove", "drain"} {
		if _, err := (MemberChange{Do: do, Replica: "16"}).apply(c); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "no replica would be in sync") {
			t.Errorf("%s of the last one in sync: %v", do, err)
		}
	}
	// A drained one does not count, and may be added again.
	c = threeMembers().WithReplica(config.Replica{Address: threeMembers().Members[1].Address, Drained: true})
	if _, err := (MemberChange{Do: "remove", Replica: "16"}).apply(c); !errors.Is(err, ErrRefused) {
		t.Errorf("remove all but a drained one: %v", err)
	}
	if next, err := (MemberChange{Do: "add", Replica: "17"}).apply(c); err != nil || next.Replicas[1].Drained {
		t.Errorf("add a drained one: %+v, %v", next.Replicas, err)
	}
}

// TestOperator has replicas drained, added, removed and replaced while clients write.
func TestOperator(t *testing.T) {
	l := newSharedLab(t, 4)
	spare := l.replicas[3]
	l.replicas = l.replicas[:3]
	l.Cleanup(spare.kill)
	l.start(0)
	l.await("whole", l.whole(0, 3))
	socket := l.coordinators[0].options.StatusSocket
	change := func(do, replica, by string) {
		t.Helper()
		l.put("k", do)
		if err := ChangeMembers(t.Context(), socket, MemberChange{Do: do, Replica: replica, By: by}); err != nil {
			t.Fatal(err)
		}
		l.put("k", do+" asked for")
	}
	change("drain", "16", "")
	l.await("drained", l.whole(0, 2))
	l.await("expelled", func() bool { return l.replicas[0].id() == 0 })
	change("add", l.replicas[0].address.String(), "")
	l.await("added", l.whole(0, 3))
	change("replace", l.replicas[1].address.String(), spare.address.String())
	l.await("replaced", func() bool {
		s := l.status(0)
		_, old := s.Config.ReplicaAt(l.replicas[1].address)
		_, next := s.Config.MemberAt(spare.address)
		return !old && next && l.whole(0, 3)()
	})
	change("remove", spare.address.String(), "")
	l.await("removed", l.whole(0, 2))
	l.await("expelled", func() bool { return spare.id() == 0 })
	l.expect("k", "remove asked for")
	if err := Failover(t.Context(), socket); !errors.Is(err, ErrRefused) {
		t.Errorf("failover of the active one: %v", err)
	}
	if err := ChangeMembers(t.Context(), socket, MemberChange{Do: "drain", Replica: "99"}); !errors.Is(err, ErrRefused) {
		t.Errorf("drain of nobody: %v", err)
	}
	if err := ChangeMembers(t.Context(), socket, MemberChange{Do: "drain"}); !errors.Is(err, ErrConfiguration) {
		t.Errorf("drain of nothing: %v", err)
	}
}
