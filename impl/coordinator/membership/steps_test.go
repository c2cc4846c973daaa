// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"slices"
	"testing"
	"time"

	"dalio/impl/config"
	"dalio/protocol"
)

// expect asks for the next step, and complains about another kind.
func expect(t *testing.T, m *Manager, v *View, kind Kind) Action {
	t.Helper()
	a := m.Next(v)
	if a.Kind != kind {
		t.Fatalf("the next step is %q, want %q: %+v", a.Kind, kind, a)
	}
	return a
}

// joinable is a shard of two, with a third replica that belongs to it and is well.
func joinable() *View {
	v := serving(2)
	v.Config.Replicas = append(v.Config.Replicas, config.Replica{Address: addressOf(2)})
	v.set(2, Replica{Known: true})
	return v
}

// minted lets the third replica have its id.
func minted(t *testing.T, m *Manager, v *View) config.Member {
	t.Helper()
	a := expect(t, m, v, Mint)
	m.Succeeded(&a, 0)
	v.Config = a.Config
	return a.Members[0]
}

// inMask lets it have been told, and be in the mask.
func inMask(t *testing.T, m *Manager, v *View) config.Member {
	t.Helper()
	joiner := minted(t, m, v)
	a := expect(t, m, v, Assign)
	m.Succeeded(&a, 0)
	v.set(2, Replica{Known: true, ID: joiner.ID})
	a = expect(t, m, v, GrowMask)
	m.Succeeded(&a, 0)
	v.Kernel.Members |= 1 << joiner.ID.Index()
	v.Kernel.IDs[joiner.ID.Index()] = joiner.ID
	return joiner
}

// TestSteps has cases in which a step out of order, or one too many, would do harm.
func TestSteps(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"a joining", func(t *testing.T) {
			m, v := sureManager(), joinable()
			joiner := inMask(t, m, v)
			a := expect(t, m, v, GrowConfig)
			if got, ok := a.Config.Member(joiner.ID); !ok || got.InSync {
				t.Errorf("it joins as %+v", got)
			}
		}},
		{"a joining while another leaves", func(t *testing.T) {
			m, v := sureManager(), joinable()
			joiner := inMask(t, m, v)
			v.set(0, Replica{Suspected: true})
			v.Kernel.Serving = expect(t, m, v, ShrinkServing).Serving
			v.Config = expect(t, m, v, ShrinkConfig).Config
			if a := expect(t, m, v, ShrinkMask); !slices.ContainsFunc(a.Members, func(o config.Member) bool { return o.ID == joiner.ID }) {
				t.Errorf("the mask shrinks to %+v", a.Members)
			}
		}},
		{"a joining that failed", func(t *testing.T) {
			m, v := sureManager(), joinable()
			first := minted(t, m, v)
			a := expect(t, m, v, Assign)
			m.Failed(&a)
			second := inMask(t, m, v)
			if second.ID == first.ID {
				t.Errorf("id %d is assigned again, which the replica may have got before", first.ID)
			}
			m, v = sureManager(), joinable()
			minted(t, m, v)
			a = expect(t, m, v, Assign)
			m.Succeeded(&a, 0)
			v.set(2, Replica{Known: true, ID: a.Members[0].ID})
			a = expect(t, m, v, GrowMask)
			m.Failed(&a)
			expect(t, m, v, Mint)
		}},
		{"an index that is busy", func(t *testing.T) {
			m, v := sureManager(), joinable()
			v.Kernel.Busy = 0b111
			if joiner := minted(t, m, v); joiner.ID.Index() != 3 {
				t.Errorf("it is given index %d, want 3", joiner.ID.Index())
			}
		}},
		{"two joinings", func(t *testing.T) {
			m, v := sureManager(), joinable()
			first := minted(t, m, v)
			v.Config.Replicas = append([]config.Replica{{Address: addressOf(3)}}, v.Config.Replicas...)
			v.set(3, Replica{Known: true})
			if a := expect(t, m, v, Mint); a.Members[0].ID.Index() == first.ID.Index() {
				t.Errorf("ids %d and %d have one index", first.ID, a.Members[0].ID)
			}
		}},
		{"a recovery that failed", func(t *testing.T) {
			for _, stage := range []int{fencing, collected, cut, membersOpened} {
				m, v := sureManager(), serving(2)
				v.Kernel = Kernel{}
				m.taking = &taking{epoch: 5, fenced: map[protocol.ReplicaID]bool{16: true, 17: true}, recovered: v.Config.Members, stage: stage}
				a := m.Next(v)
				m.Failed(&a)
				if a = expect(t, m, v, TakeEpoch); a.Epoch != 6 {
					t.Errorf("after stage %d epoch %d is taken", stage, a.Epoch)
				}
			}
		}},
		{"nobody in sync", func(t *testing.T) {
			m, v := sureManager(), serving(2)
			v.Config.Members[1].InSync = false
			v.Kernel, v.Now = Kernel{}, time.Hour
			m.taking = &taking{epoch: 5, fenced: map[protocol.ReplicaID]bool{17: true}}
			expect(t, m, v, Fence)
			// Once the other one is there, it alone is recovered from.
			m.taking.fenced[16] = true
			if a := expect(t, m, v, Collect); len(a.Members) != 1 || a.Members[0].ID != 16 {
				t.Errorf("recovered from %+v", a.Members)
			}
		}},
		{"the order of a taking over", func(t *testing.T) {
			m, v := sureManager(), serving(2)
			v.Kernel, v.Config.Epoch = Kernel{}, 4
			for _, kind := range []Kind{TakeEpoch, Fence, Collect, Install, CutMembers, OpenMembers, OpenKernel} {
				a := expect(t, m, v, kind)
				m.Succeeded(&a, 0, 16, 17)
				if a.ChangesConfig() {
					v.Config = a.Config
				}
			}
			// Who was there is noted when all have opened the epoch for certain: one who
			// does not know of it then has lost something.
			if v.Config.IsOpened() {
				t.Errorf("before the kernel is open the history says %+v", v.Config.History)
			}
			v.Kernel = Kernel{Epoch: 5, Members: 0b11, Serving: 0b11}
			a := expect(t, m, v, Confirm)
			if last := a.Config.History[len(a.Config.History)-1]; !a.Config.IsOpened() || len(last.Members) != 2 {
				t.Errorf("noted: %+v", last)
			}
		}},
		{"a change that failed", func(t *testing.T) {
			m, v := sureManager(), joinable()
			a := expect(t, m, v, Mint)
			m.Failed(&a) // It may have been made, or may yet be.
			expect(t, m, v, Confirm)
		}},
		{"a founding", func(t *testing.T) {
			m, v := NewManager(), serving(2)
			v.Config.Epoch, v.Config.Coordinator, v.Kernel, v.Wanted = 0, "", Kernel{}, "founding"
			v.set(0, Replica{Known: true, Holds: true})
			v.set(1, Replica{Known: true, ID: 17})
			v.Timing.Founding = time.Second
			expect(t, m, v, Wait)
		}},
		{"a catch-up that runs", func(t *testing.T) {
			v := serving(2)
			v.Config.Members[1].InSync, v.Kernel.Serving = false, 0b01
			v.set(1, Replica{Known: true, ID: 17, CatchUp: CatchUp{State: Running, From: addressOf(0), Source: 16}})
			expect(t, sureManager(), v, Wait)
		}},
		{"a member that the mask lacks", func(t *testing.T) {
			v := serving(3)
			v.Kernel.Members, v.Kernel.Serving = 0b011, 0b011
			if a := expect(t, sureManager(), v, ShrinkConfig); len(a.Config.Members) != 2 {
				t.Errorf("%+v", a.Config.Members)
			}
		}},
		{"the last in sync", func(t *testing.T) {
			v := serving(2)
			v.Config.Members[1].InSync = false
			v.Kernel.Members, v.Kernel.Serving = 0b10, 0
			if a := sureManager().Next(v); a.Kind == ShrinkConfig {
				t.Errorf("nobody in sync would be left: %+v", a.Config.Members)
			}
		}},
		{"a source", func(t *testing.T) {
			v := serving(3)
			v.Config.Members[2].InSync, v.Kernel.Serving = false, 0b001
			if a := expect(t, sureManager(), v, CatchUpOn); a.Source.ID != 16 {
				t.Errorf("it is told to catch up from %d, which is not read from", a.Source.ID)
			}
			v = serving(2)
			v.Config.Members[1].InSync, v.Kernel.Serving = false, 0b01
			v.set(0, Replica{Suspected: true})
			expect(t, sureManager(), v, Wait)
		}},
		{"a replacement that joins", func(t *testing.T) {
			v := serving(3)
			v.Config.Members[2].InSync, v.Kernel.Serving = false, 0b011
			v.Config.Replicas[2].Replaces = addressOf(0)
			v.set(2, Replica{Known: true, ID: 18, CatchUp: CatchUp{State: Running, From: addressOf(0), Source: 16}})
			expect(t, sureManager(), v, Wait)
		}},
		{"joinings that can't go on", func(t *testing.T) {
			ours := Replica{Known: true, ID: 34}
			for what, c := range map[string]struct {
				view   func(v *View)
				keeps  bool
				joiner Replica
			}{
				"one that can":              {func(*View) {}, true, ours},
				"of nobody who is ours":     {func(v *View) { v.Config = v.Config.WithoutReplica(addressOf(2)) }, false, ours},
				"of one that is drained":    {func(v *View) { v.Config.Replicas[2].Drained = true }, false, ours},
				"of one that is not heard":  {func(*View) {}, false, Replica{}},
				"of one that is suspected":  {func(*View) {}, false, Replica{Known: true, Suspected: true, ID: 34}},
				"of one that has restarted": {func(*View) {}, false, Replica{Known: true}},
				"of one that has joined":    {func(v *View) { v.Config = v.Config.WithMember(config.Member{ID: 34, Address: addressOf(2)}) }, false, ours},
			} {
				m, v := sureManager(), joinable()
				m.joining[addressOf(2)] = joining{id: 34, assigned: true}
				v.set(2, c.joiner)
				c.view(v)
				m.prune(v)
				if _, kept := m.Joining()[addressOf(2)]; kept != c.keeps {
					t.Errorf("%s: kept %v, want %v", what, kept, c.keeps)
				}
			}
		}},
		{"a drained member", func(t *testing.T) {
			v := serving(1)
			v.Config.Replicas[0].Drained = true
			expect(t, sureManager(), v, Wait) // It is the last.
		}},
	} {
		t.Run(c.name, c.run)
	}
}
