// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"net/netip"
	"testing"
	"time"

	"dalio/impl/config"
	"dalio/protocol"
)

// returnedView is a shard with three members in sync that serves in epoch 4, with
// what is known of them.
func returnedView(replicas ...Replica) *View {
	v := &View{Name: "a", Timing: Timing{Lease: time.Second, Grace: time.Second}, Replicas: map[netip.AddrPort]Replica{},
		Config: config.Config{Epoch: 4, Coordinator: "a", Generation: 1, MinMembers: 1, Sessions: 64}}
	v.Kernel.Epoch, v.Kernel.MinMembers = 4, 1
	for i, r := range replicas {
		m := config.Member{ID: protocol.ReplicaID(protocol.MaxMembers + i), Address: addressOf(i), InSync: true}
		r.Known, r.ID = true, m.ID
		v.Replicas[m.Address] = r
		v.Config.Members = append(v.Config.Members, m)
		v.Config.Replicas = append(v.Config.Replicas, config.Replica{Address: m.Address})
		v.Kernel.IDs[i], v.Kernel.Members, v.Kernel.Serving = m.ID, v.Kernel.Members|1<<i, v.Kernel.Serving|1<<i
	}
	return v
}

func version(seq uint64) protocol.Version { return protocol.Version{Epoch: 3, Seq: seq} }

func TestWhoComesBackWithADisk(t *testing.T) {
	back := Replica{Returned: true}
	for name, c := range map[string]struct {
		view *View
		want Kind
	}{
		"nobody":                          {returnedView(Replica{}, Replica{}, Replica{}), Wait},
		"one of them is taken out":        {returnedView(back, Replica{}, Replica{}), ShrinkServing},
		"all: a new epoch":                {returnedView(back, back, back), TakeEpoch},
		"one, and the others are gone":    {returnedView(back, Replica{Suspected: true}, Replica{Suspected: true}), TakeEpoch},
		"two, and the third is not heard": {returnedView(back, back, Replica{Unconfirmed: true}), Wait},
		"two, and the third is there":     {returnedView(back, back, Replica{}), ShrinkServing},
		"two, and the third is silent":    {returnedView(back, back, Replica{Unconfirmed: true, Suspected: true}), TakeEpoch},
		"all, with disks of the past":     {returnedView(Replica{Returned: true, Old: true}), Wait},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewManager()
			m.sure = true
			if a := m.Next(c.view); a.Kind != c.want {
				t.Errorf("the next step is %q, want %q", a.Kind, c.want)
			}
		})
	}
}

// TestRecoveryFromDisks recovers above the lowest floor of those that have come
// back, and from nobody whose disk is from the past, however long it takes.
func TestRecoveryFromDisks(t *testing.T) {
	v := returnedView(Replica{Returned: true, Floor: version(7)}, Replica{Returned: true, Floor: version(5)}, Replica{Returned: true, Old: true, Floor: version(1)})
	v.Kernel = Kernel{}
	m := NewManager()
	m.Succeeded(&Action{Kind: TakeEpoch, Config: v.Config}, 0)
	m.Succeeded(&Action{Kind: Fence}, 0, 16, 17, 18)
	v.Now = time.Minute
	a := m.Next(v)
	if a.Kind != Collect || len(a.Members) != 2 || a.Members[0].ID != 16 || a.Members[1].ID != 17 {
		t.Fatalf("the next step is %q of %+v", a.Kind, a.Members)
	}
	if a.Since == nil || *a.Since != version(5) {
		t.Errorf("looks above %v, want the lowest floor, %v", a.Since, version(5))
	}
	for address, r := range v.Replicas {
		r.Old = true
		v.Replicas[address] = r
	}
	if a := m.Next(v); a.Kind != Fence {
		t.Errorf("with disks of the past alone the next step is %q", a.Kind)
	}
}
