// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"maps"
	"net/netip"
	"slices"

	"dalio/impl/config"
)

// shrink takes members out: of the serving set, then of the configuration, then
// of the acknowledgement mask. A member out of step is not recovered from, so it
// must not be read from before; a member that may be recovered from must have
// acknowledged what was answered, so it stays in the mask until it may not.
func (m *Manager) shrink(v *View, removed []config.Member) Action {
	var allowed uint16
	for _, member := range v.Config.Members {
		if member.InSync && !slices.Contains(removed, member) && v.Kernel.has(v.Kernel.Members, member.ID) {
			allowed |= 1 << member.ID.Index()
		}
	}
	if v.Kernel.Serving&^allowed != 0 {
		return Action{Kind: ShrinkServing, Serving: v.Kernel.Serving & allowed}
	}
	c := v.Config
	for _, member := range c.Members {
		// A member that the mask lacks has missed writes.
		if slices.Contains(removed, member) || !v.Kernel.has(v.Kernel.Members, member.ID) {
			c = c.WithoutMember(member.ID)
		}
	}
	if len(c.Members) < len(v.Config.Members) && c.InSync() > 0 {
		return Action{Kind: ShrinkConfig, Config: c}
	}
	if known := m.mask(v, true); len(known) < count(v.Kernel.Members) {
		return Action{Kind: ShrinkMask, Members: known}
	}
	return Action{Kind: Wait}
}

// mask returns the members of the kernel's mask that are in the configuration or
// joining.
func (m *Manager) mask(v *View, joiners bool) []config.Member {
	var all []config.Member
	for _, member := range v.Config.Members {
		if v.Kernel.has(v.Kernel.Members, member.ID) {
			all = append(all, member)
		}
	}
	if joiners {
		for _, address := range m.joinersInOrder() {
			if j := m.joining[address]; v.Kernel.has(v.Kernel.Members, j.id) {
				all = append(all, config.Member{ID: j.id, Address: address})
			}
		}
	}
	return all
}

func (m *Manager) joinersInOrder() []netip.AddrPort {
	return slices.SortedFunc(maps.Keys(m.joining), netip.AddrPort.Compare)
}

func count(set uint16) (n int) {
	for ; set != 0; set &= set - 1 {
		n++
	}
	return n
}

func (m *Manager) leastSize(v *View, _ []config.Member) Action {
	if v.Kernel.MinMembers == v.Config.MinMembers {
		return Action{Kind: Wait}
	}
	return Action{Kind: LeastSize, MinMembers: v.Config.MinMembers}
}

// grow lets those that have caught up count as in sync, and those in sync serve.
func (m *Manager) grow(v *View, removed []config.Member) Action {
	serving := v.Kernel.Serving
	for _, member := range v.Config.Members {
		if slices.Contains(removed, member) || !v.Kernel.has(v.Kernel.Members, member.ID) {
			continue
		}
		if member.InSync {
			serving |= 1 << member.ID.Index()
			continue
		}
		if a := m.catchUp(v, member); a.Kind != Wait {
			return a
		}
	}
	if serving != v.Kernel.Serving {
		return Action{Kind: GrowServe, Serving: serving}
	}
	return Action{Kind: Wait}
}

// catchUp has a member take what it missed from one in sync.
func (m *Manager) catchUp(v *View, member config.Member) Action {
	r := v.Replicas[member.Address]
	sound := v.sound(member)
	switch {
	case !r.Known:
		return Action{Kind: Wait}
	case r.CatchUp.State == Complete && sound:
		member.InSync = true
		return Action{Kind: EnterSync, Config: v.Config.WithMember(member), Members: []config.Member{member}}
	case r.Held, r.CatchUp.State == Running && sound:
		return Action{Kind: Wait}
	}
	source, ok := v.source(member)
	if !ok {
		return Action{Kind: Wait}
	}
	return Action{Kind: CatchUpOn, Epoch: v.Config.Epoch, Members: []config.Member{member}, Source: source}
}

// join brings the replicas in that belong to the shard and are not members: an id
// that nobody had, given to the replica, which forgets what it held; then every
// write must reach it; then it is a member that is not in sync. Its index is that of
// no member, of nobody who is joining, and counted by no pending write; others are
// not in the mask, which has been shrunk by then.
func (m *Manager) join(v *View, _ []config.Member) Action {
	for _, home := range v.Config.Replicas {
		r := v.Replicas[home.Address]
		if _, member := v.Config.MemberAt(home.Address); member || home.Drained || !r.Known || r.Suspected {
			continue
		}
		j, begun := m.joining[home.Address]
		joiner := config.Member{ID: j.id, Address: home.Address}
		switch {
		case !begun && r.Held:
			continue
		case !begun:
			c, id, ok := v.Config.Mint(v.Kernel.Busy, m.indices())
			if !ok {
				continue
			}
			joiner.ID = id
			return Action{Kind: Mint, Config: c, Members: []config.Member{joiner}}
		case !j.assigned:
			return Action{Kind: Assign, Epoch: v.Config.Epoch, Members: []config.Member{joiner}}
		case !v.Kernel.has(v.Kernel.Members, j.id):
			return Action{Kind: GrowMask, Members: append(m.mask(v, true), joiner)}
		}
		return Action{Kind: GrowConfig, Config: v.Config.WithMember(joiner), Members: []config.Member{joiner}}
	}
	return Action{Kind: Wait}
}

// indices returns the set of indices of those that are joining.
func (m *Manager) indices() (set uint16) {
	for _, j := range m.joining {
		set |= 1 << j.id.Index()
	}
	return set
}

// retire lets go of who has been replaced, and tells those who believe to be
// members of what they are not.
func (m *Manager) retire(v *View, _ []config.Member) Action {
	for _, home := range v.Config.Replicas {
		member, ok := v.Config.MemberAt(home.Address)
		if home.Replaces.IsValid() && ok && member.InSync && v.Kernel.has(v.Kernel.Serving, member.ID) {
			return Action{Kind: Replace, Config: v.Config.WithoutReplica(home.Replaces)}
		}
	}
	for _, address := range slices.SortedFunc(maps.Keys(v.Replicas), netip.AddrPort.Compare) {
		r := v.Replicas[address]
		home, ours := v.Config.ReplicaAt(address)
		if _, member := v.Config.MemberAt(address); member || ours && !home.Drained || !r.Known || r.Suspected || r.Held || r.ID == 0 {
			continue
		}
		return Action{Kind: Expel, Members: []config.Member{{ID: r.ID, Address: address}}}
	}
	return Action{Kind: Wait}
}

// InMask returns the set of the members' indices.
func InMask(members []config.Member) (set uint16) {
	for _, m := range members {
		set |= 1 << m.ID.Index()
	}
	return set
}
