// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"maps"
	"net/netip"
	"time"

	"dalio/impl/config"
	"dalio/protocol"
)

// Manager names the steps of one control plane. It remembers only what cannot be
// seen elsewhere, and can be lost without harm. It is not safe for concurrent use.
type Manager struct {
	// joining has the memberships that were minted but are not in the
	// configuration yet.
	joining map[netip.AddrPort]joining
	// taking is the epoch being taken, nil if none is.
	taking *taking
	// sure: no change of the configuration that this control plane or one before it
	// has asked for can still be made. One that is on its way, unknown to us, would
	// be made on top of what we do meanwhile.
	sure bool
	// founding is since when the first opening has been waited for, 0 for not yet.
	founding time.Duration
}

type joining struct {
	id       protocol.ReplicaID
	assigned bool
}

// taking is how far a taking over has come.
type taking struct {
	epoch     protocol.Epoch
	since     time.Duration
	fenced    map[protocol.ReplicaID]bool
	lastFence time.Duration
	// recovered are those that the epoch is recovered from and opened with, from
	// the end of the fencing on.
	recovered []config.Member
	stage     int
}

// The stages of a taking over, by what was done last.
const (
	fencing = iota
	collected
	installed
	cut
	membersOpened
)

// NewManager returns a manager that remembers nothing.
func NewManager() *Manager { return &Manager{joining: map[netip.AddrPort]joining{}} }

// Joining returns the memberships that have been minted but are not in the
// configuration yet.
func (m *Manager) Joining() map[netip.AddrPort]protocol.ReplicaID {
	all := map[netip.AddrPort]protocol.ReplicaID{}
	for address, j := range m.joining {
		all[address] = j.id
	}
	return all
}

// Taking says whether an epoch is being taken.
func (m *Manager) Taking() bool { return m.taking != nil }

// Recovered returns the members that the epoch being taken is recovered from, nil if
// that is not settled.
func (m *Manager) Recovered() []config.Member {
	if m.taking == nil {
		return nil
	}
	return m.taking.recovered
}

// Next names the step to take now.
func (m *Manager) Next(v *View) Action {
	mine := v.Config.Coordinator == v.Name
	if m.taking != nil && (!mine || v.Config.Epoch != m.taking.epoch) {
		m.taking = nil // Somebody else has taken a later one.
	}
	if v.Kernel.Epoch != 0 && (!mine || v.Config.Epoch != v.Kernel.Epoch) {
		return Action{Kind: CloseKernel}
	}
	serving := v.Kernel.Epoch != 0
	switch {
	case m.taking != nil:
		return m.take(v)
	case v.Config.Epoch == 0 && v.Wanted != "":
		return m.found(v)
	case v.Wanted != "":
		return m.claim(v, v.Wanted)
	case mine && !serving && v.Config.Epoch != 0:
		return m.claim(v, "restart")
	case !serving:
		clear(m.joining)
		return Action{Kind: Wait}
	case !m.sure || !v.Config.IsOpened():
		return Action{Kind: Confirm, Config: v.Config.Opened()}
	case v.allReturned():
		return m.claim(v, "the replicas have come back")
	}
	return m.tend(v)
}

// Succeeded takes note of a step that was taken. Of a Fence, fenced has the ids
// that it succeeded at; of others it is of no interest.
func (m *Manager) Succeeded(a *Action, now time.Duration, fenced ...protocol.ReplicaID) {
	if a.ChangesConfig() {
		m.sure = true // All that was based on an earlier revision will be refused.
	}
	switch a.Kind {
	case TakeEpoch:
		m.taking = &taking{epoch: a.Config.Epoch, since: now, fenced: map[protocol.ReplicaID]bool{}}
		clear(m.joining)
	case Fence:
		for _, id := range fenced {
			m.taking.fenced[id] = true
			m.taking.lastFence = now
		}
	case Collect:
		m.taking.recovered, m.taking.stage = a.Members, collected
	case Install:
		m.taking.stage = installed
	case CutMembers:
		m.taking.stage = cut
	case OpenMembers:
		m.taking.stage = membersOpened
	case OpenKernel:
		m.taking = nil
	case Mint:
		m.joining[a.Members[0].Address] = joining{id: a.Members[0].ID}
	case Assign:
		if j, ok := m.joining[a.Members[0].Address]; ok && j.id == a.Members[0].ID {
			m.joining[a.Members[0].Address] = joining{j.id, true}
		}
	case GrowConfig:
		delete(m.joining, a.Members[0].Address)
	}
}

// Failed takes note of a step that failed, or may have.
func (m *Manager) Failed(a *Action) {
	if a.ChangesConfig() {
		m.sure = false
	}
	switch a.Kind {
	case Collect, Install, OpenMembers, OpenKernel:
		// Some of the members may be in another state than the others. A new epoch
		// is recovered from what each of them holds then.
		m.taking = nil
	case Assign, GrowMask:
		// Another id is minted: this one may have been given, or not.
		for _, member := range a.Members {
			if j, ok := m.joining[member.Address]; ok && (a.Kind == GrowMask || j.id == member.ID) {
				delete(m.joining, member.Address)
			}
		}
	}
}

// claim takes the next epoch.
func (m *Manager) claim(v *View, reason string) Action {
	c := v.Config.Clone()
	c.Epoch, c.Coordinator = c.Epoch+1, v.Name
	c = c.WithOpening(config.Opening{Epoch: c.Epoch, Coordinator: v.Name, Reason: reason})
	return Action{Kind: TakeEpoch, Config: c, Epoch: c.Epoch}
}

// found gives the replicas of a shard that has never been open their first ids.
// Nothing can be lost yet: they hold nothing.
func (m *Manager) found(v *View) Action {
	if m.founding == 0 {
		m.founding = v.Now
	}
	assigned, missing := 0, 0
	for _, member := range v.Config.Members {
		switch r := v.Replicas[member.Address]; {
		case !r.Known || r.Suspected || r.Holds:
			missing++
		case r.ID != member.ID:
			return Action{Kind: Assign, Members: []config.Member{member}}
		default:
			assigned++
		}
	}
	until := m.founding + v.Timing.Founding
	if missing > 0 && v.Now < until {
		return Action{Kind: Wait, Until: until}
	}
	if assigned < v.Config.MinMembers {
		return Action{Kind: Wait}
	}
	return m.claim(v, v.Wanted)
}

// take goes on with the taking of an epoch. The members are cut down to those that
// it was recovered from only when that has succeeded: if one of them is lost
// meanwhile, another one may be there again.
func (m *Manager) take(v *View) Action {
	t := m.taking
	a := Action{Epoch: t.epoch, Members: t.recovered}
	switch t.stage {
	case fencing:
		return m.fence(v)
	case collected:
		a.Kind = Install
	case installed:
		a.Kind, a.Config = CutMembers, m.cutTo(v.Config)
	case cut:
		a.Kind = OpenMembers
	case membersOpened:
		a.Kind, a.MinMembers = OpenKernel, v.Config.MinMembers
	}
	return a
}

// fence makes the members of the configuration refuse earlier epochs. The epoch is
// recovered from those in sync among them: one that has not caught up may lack
// what was committed.
func (m *Manager) fence(v *View) Action {
	t := m.taking
	var unfenced, recovered []config.Member
	insyncMissing := false
	for _, member := range v.Config.Members {
		switch {
		case !t.fenced[member.ID]:
			unfenced = append(unfenced, member)
			insyncMissing = insyncMissing || member.InSync
		case member.InSync && v.Replicas[member.Address].Old:
			insyncMissing = true // It is fenced, and holds too little.
		case member.InSync:
			recovered = append(recovered, member)
		}
	}
	until := t.since + v.Timing.Grace
	if insyncMissing {
		// The replaced coordinator may release reads of a member that nobody has
		// fenced, until those that were have not answered it for the time of the lease.
		until = max(until, t.lastFence+v.Timing.Lease)
	}
	if len(recovered) == 0 || len(unfenced) > 0 && v.Now < until {
		return Action{Kind: Fence, Epoch: t.epoch, Members: unfenced, Until: until}
	}
	return Action{Kind: Collect, Epoch: t.epoch, Members: recovered, Since: v.since(recovered)}
}

// cutTo returns the configuration with the members that the epoch was recovered
// from, and no others.
func (m *Manager) cutTo(c config.Config) config.Config {
	c.Members = m.taking.recovered
	return c
}

// tend names the next step while the epoch is open: bad news first, and each
// change in the order that keeps the invariant.
func (m *Manager) tend(v *View) Action {
	removed := v.removed()
	m.prune(v)
	for _, step := range []func(*View, []config.Member) Action{m.shrink, m.leastSize, m.grow, m.join, m.retire} {
		if a := step(v, removed); a.Kind != Wait {
			return a
		}
	}
	return Action{Kind: Wait}
}

// prune forgets the joinings that can't go on.
func (m *Manager) prune(v *View) {
	maps.DeleteFunc(m.joining, func(address netip.AddrPort, j joining) bool {
		home, ok := v.Config.ReplicaAt(address)
		r := v.Replicas[address]
		_, member := v.Config.MemberAt(address)
		return !ok || home.Drained || !r.Known || r.Suspected || member || j.assigned && r.ID != j.id
	})
}
