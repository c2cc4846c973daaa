// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"net/netip"
	"testing"
	"time"

	"dalio/impl/config"
	"dalio/protocol"
)

// serving is the view of a coordinator that serves, with the number of members
// given, all in sync and well.
func serving(members int) *View {
	v := &View{Name: "a", Timing: Timing{Lease: 300 * time.Millisecond, Grace: 100 * time.Millisecond},
		Config:   config.Config{Epoch: 5, Coordinator: "a", Generation: 1, MinMembers: 1, Sessions: 64},
		Kernel:   Kernel{Epoch: 5, MinMembers: 1},
		Replicas: map[netip.AddrPort]Replica{}}
	for i := range members {
		id := protocol.ReplicaID(protocol.MaxMembers + i)
		v.Config.Members = append(v.Config.Members, config.Member{ID: id, Address: addressOf(i), InSync: true})
		v.Config.Replicas = append(v.Config.Replicas, config.Replica{Address: addressOf(i)})
		v.Kernel.IDs[i] = id
		v.Kernel.Members |= 1 << i
		v.Replicas[addressOf(i)] = Replica{Known: true, ID: id}
	}
	v.Kernel.Serving = v.Kernel.Members
	return v
}

func sureManager() *Manager {
	m := NewManager()
	m.sure = true
	return m
}

func (v *View) set(i int, r Replica) { v.Replicas[addressOf(i)] = r }

func TestNothingIsDoneWhereAllIsWell(t *testing.T) {
	if a := sureManager().Next(serving(3)); a.Kind != Wait {
		t.Errorf("%+v", a)
	}
}

// TestLastInSyncMemberStays: whoever is suspected wrongly may hold what nobody
// else holds.
func TestLastInSyncMemberStays(t *testing.T) {
	suspected, amnesiac := Replica{Suspected: true}, Replica{Known: true}
	well := func(i int) Replica { return Replica{Known: true, ID: protocol.ReplicaID(protocol.MaxMembers + i)} }
	for name, c := range map[string]struct {
		replicas []Replica
		serving  uint16
	}{
		"one of two is suspected":             {[]Replica{suspected, well(1)}, 0b10},
		"all are suspected":                   {[]Replica{suspected, suspected}, 0b11},
		"one is lost, the other is suspected": {[]Replica{amnesiac, suspected}, 0b10},
		"all are lost":                        {[]Replica{amnesiac, amnesiac}, 0b11},
		"nobody is heard yet":                 {[]Replica{{}, {}}, 0b11},
	} {
		v := serving(2)
		for i, r := range c.replicas {
			v.set(i, r)
		}
		a := sureManager().Next(v)
		if c.serving == 0b11 && a.Kind != Wait || c.serving != 0b11 && (a.Kind != ShrinkServing || a.Serving != c.serving) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	// Only one is in sync, and it is to be drained.
	v := serving(2)
	v.Config.Members[1].InSync = false
	v.Kernel.Serving = 0b01
	v.Config = v.Config.WithReplica(config.Replica{Address: addressOf(0), Drained: true})
	v.set(1, Replica{Known: true, ID: 17, CatchUp: CatchUp{State: Running, From: addressOf(0), Source: 16}})
	if a := sureManager().Next(v); a.Kind != Wait {
		t.Errorf("the last one is drained: %+v", a)
	}
}

// TestTakingOverWaitsForTheLease: a member that can't be fenced may be read from by
// the coordinator that was replaced, until that has not heard the others for long
// enough.
func TestTakingOverWaitsForTheLease(t *testing.T) {
	v := serving(3)
	v.Name, v.Kernel, v.Wanted = "b", Kernel{}, "the other one is silent"
	m := NewManager()
	a := m.Next(v)
	if a.Kind != TakeEpoch || a.Config.Epoch != 6 || a.Config.Coordinator != "b" {
		t.Fatalf("%+v", a)
	}
	m.Succeeded(&a, 0)
	v.Config, v.Wanted = a.Config, ""
	if a = m.Next(v); a.Kind != Fence || len(a.Members) != 3 {
		t.Fatalf("%+v", a)
	}
	m.Succeeded(&a, 50*time.Millisecond, 16, 17)
	for _, now := range []time.Duration{60 * time.Millisecond, 340 * time.Millisecond} {
		v.Now = now
		if a = m.Next(v); a.Kind != Fence || len(a.Members) != 1 || a.Until != 350*time.Millisecond {
			t.Errorf("at %v: %+v; want the third to be tried until 350ms", now, a)
		}
	}
	v.Now = 350 * time.Millisecond
	if a = m.Next(v); a.Kind != Collect || len(a.Members) != 2 {
		t.Errorf("%+v", a)
	}
	// With a member that is not in sync missing, nobody could have read from it.
	v.Config.Members[2].InSync = false
	v.Now = 100 * time.Millisecond
	if a = m.Next(v); a.Kind != Collect {
		t.Errorf("%+v", a)
	}
}

// TestStrandedMemberBeginsAnew: what it caught up from was in sync when it was told
// to, and is somebody else now, with nobody to compare with.
func TestStrandedMemberBeginsAnew(t *testing.T) {
	v := serving(2)
	v.Config.Members[1].InSync = false
	v.Kernel.Serving = 0b01
	member := Replica{Known: true, ID: 17, CatchUp: CatchUp{State: Complete, From: addressOf(0), Source: 16}}
	v.set(1, member)
	if a := sureManager().Next(v); a.Kind != EnterSync {
		t.Errorf("one that has caught up: %+v", a)
	}
	member.CatchUp.Source = 0
	v.set(1, member)
	if a := sureManager().Next(v); a.Kind != ShrinkConfig || len(a.Config.Members) != 1 {
		t.Errorf("one that nobody knows the source of: %+v", a)
	}
	v = serving(3)
	v.Config.Members[1].InSync = false
	v.Kernel.Serving = 0b101
	v.set(1, member)
	if a := sureManager().Next(v); a.Kind != CatchUpOn || a.Source.ID != 18 {
		t.Errorf("one that has somebody else to compare with: %+v", a)
	}
}

func TestReplacedReplicaLeavesWhenTheOtherServes(t *testing.T) {
	v := serving(2)
	v.Config.Replicas[1].Replaces = addressOf(0)
	a := sureManager().Next(v)
	if _, there := a.Config.ReplicaAt(addressOf(0)); a.Kind != Replace || there {
		t.Fatalf("%+v", a)
	}
	v.Config = a.Config
	if a = sureManager().Next(v); a.Kind != ShrinkServing || a.Serving != 0b10 {
		t.Errorf("%+v", a)
	}
	v.Config.MinMembers = 2
	v.set(0, Replica{Known: true})
	v.Kernel = Kernel{Epoch: 5, MinMembers: 1, Members: 0b10, Serving: 0b10, IDs: [protocol.MaxMembers]protocol.ReplicaID{1: 17}}
	v.Config = v.Config.WithoutMember(16)
	if a = sureManager().Next(v); a.Kind != LeastSize || a.MinMembers != 2 {
		t.Errorf("%+v", a)
	}
}
