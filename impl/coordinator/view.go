// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"time"

	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

func pid() int { return os.Getpid() }

// peer is what is known of the coordinator that owns the epoch, if that is
// another one.
type peer struct {
	// since is when its epoch was first seen here, and heard when its data plane has
	// answered last that it is open.
	since, heard time.Time
	// gone is since when its control plane is not announced any more.
	gone time.Time
}

// view gathers what is known for the next step to be named.
func (m *manager) view() membership.View {
	now := m.options.now()
	m.noteAwake(now)
	kernel := m.plane.view()
	m.mu.Lock()
	known, wanted := m.known, m.wanted
	m.mu.Unlock()
	v := membership.View{Name: m.options.Name, Now: m.now(), Config: known, Kernel: kernel,
		Timing:   membership.Timing{Lease: m.leaseOfOthers(), Grace: grace, Founding: founding},
		Replicas: map[netip.AddrPort]membership.Replica{}}
	v.Wanted = m.want(&known, wanted, now)
	m.noteReady(&known, &kernel)
	looks := map[netip.AddrPort]replicaView{}
	for _, a := range m.addresses(&known) {
		member, is := known.MemberAt(a)
		patience := m.options.SuspectAfter
		if !is || !member.InSync {
			patience = joinerPatience
		}
		looks[a] = m.follow(a).look(now, patience)
		v.Replicas[a] = m.tell(looks[a])
	}
	if known.Coordinator == m.options.Name { // Who stands by hears of things late.
		m.noteOld(&v)
	}
	noteUnconfirmed(&v, looks)
	return v
}

// leaseOfOthers is how long a coordinator that was replaced may release reads, by the
// clock of this one.
func (m *manager) leaseOfOthers() time.Duration {
	return m.options.Lease + time.Duration(drift*float64(m.options.Lease))
}

// noteUnconfirmed tells the members that have not been heard since another one was
// found to have come back.
func noteUnconfirmed(v *membership.View, looks map[netip.AddrPort]replicaView) {
	var latest time.Time
	for _, member := range v.Config.Members {
		if look := looks[member.Address]; v.Replicas[member.Address].Returned && look.returned.After(latest) {
			latest = look.returned
		}
	}
	for _, member := range v.Config.Members {
		told, look := v.Replicas[member.Address], looks[member.Address]
		told.Unconfirmed = !latest.IsZero() && !look.open.After(latest)
		v.Replicas[member.Address] = told
	}
}

// noteOld tells the disks that are from the past. Tombstones are collected only
// when every member has made durable that all before is settled: a disk that does
// not know so much has been put back to what it was, and so has one that does not
// know an epoch which it was opened in. (The history has the members of an epoch
// only when all of them have made its opening durable.)
func (m *manager) noteOld(v *membership.View) {
	for _, member := range v.Config.Members {
		r := m.follow(member.Address).look(m.options.now(), joinerPatience).status.Returned
		told := v.Replicas[member.Address]
		if r == nil || !told.Returned || told.ID != member.ID {
			continue
		}
		known := r.Floor
		if known.Less(r.Collect) {
			known = r.Collect
		}
		for _, other := range v.Config.Members {
			s := m.follow(other.Address).look(m.options.now(), joinerPatience).status
			told.Old = told.Old || s.ID == other.ID && known.Less(s.Collect)
		}
		for _, o := range v.Config.History {
			// Those that it is in since it came back say nothing of before.
			before := r.Fenced == 0 || o.Epoch < r.Fenced
			told.Old = told.Old || r.Epoch < o.Epoch && before && slices.Contains(o.Members, member.ID)
		}
		if told.Old && m.warnedOf(member.ID) {
			m.options.Logger.Error("a replica has come back with a disk from the past; it is not recovered from, and joins as a new one",
				"id", uint32(member.ID), "address", member.Address, "epoch", uint32(r.Epoch), "floor", r.Floor)
		}
		v.Replicas[member.Address] = told
	}
}

// warnedOf says whether it is the first time that it is asked about the member.
func (m *manager) warnedOf(id protocol.ReplicaID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	warned := &m.oldDisks[id.Index()]
	first := *warned != id
	*warned = id
	return first
}

// joinerPatience is how long somebody may be silent without whom the shard serves
// as well.
const joinerPatience = 2 * time.Second

// tell says what is known of a replica as the naming of steps takes it.
func (m *manager) tell(r replicaView) membership.Replica {
	s := r.status
	told := membership.Replica{Suspected: r.suspected, Known: r.known, Held: r.held, ID: s.ID, Holds: s.Records+s.Sessions > 0,
		CatchUp: membership.CatchUp{State: membership.NotBegun, From: s.CatchUp.Source}}
	if s.Shard != "" && s.Shard != m.options.Shard {
		// Another shard's. To join it would destroy what it holds.
		return membership.Replica{Suspected: true}
	}
	switch s.CatchUp.State {
	case control.Running:
		told.CatchUp.State = membership.Running
	case control.Done:
		told.CatchUp.State = membership.Complete
	case control.Failed:
		told.CatchUp.State = membership.Failed
	}
	if s.Returned != nil {
		told.Returned, told.Floor = true, s.Returned.Floor
	}
	told.CatchUp.Source = m.asker.sourceOf(s.ID, s.CatchUp.Source)
	return told
}

// addresses lists those at which a replica of the shard may be, and forgets the
// followers of others.
func (m *manager) addresses(c *config.Config) []netip.AddrPort {
	wanted := map[netip.AddrPort]bool{}
	for _, r := range c.Replicas {
		wanted[r.Address] = true
	}
	for _, member := range c.Members {
		wanted[member.Address] = true
	}
	m.mu.Lock()
	var gone []*follower
	for a, f := range m.followers {
		// One that was removed is told so first.
		if look := f.look(m.options.now(), joinerPatience); !wanted[a] && (look.suspected || look.known && look.status.ID == 0) {
			gone = append(gone, f)
			delete(m.followers, a)
		} else {
			wanted[a] = true
		}
	}
	m.mu.Unlock()
	for _, f := range gone {
		f.close()
	}
	return slices.SortedFunc(maps.Keys(wanted), netip.AddrPort.Compare)
}

// noteReady says that clients are served, once they are.
func (m *manager) noteReady(c *config.Config, k *membership.Kernel) {
	mine := c.Coordinator == m.options.Name
	m.mu.Lock()
	another := !m.peer.heard.IsZero()
	m.mu.Unlock()
	if c.Epoch != 0 && (mine && k.Epoch == c.Epoch || !mine && another) {
		m.once.Do(func() { close(m.ready) })
	}
}

// want says why the epoch should be taken, "" if it should not.
func (m *manager) want(c *config.Config, asked string, now time.Time) string {
	m.mu.Lock()
	p, loaded := m.peer, m.loaded
	m.mu.Unlock()
	switch {
	case !loaded:
		return ""
	case c.Epoch == 0:
		if m.options.Standby && now.Sub(p.since) < settling {
			return ""
		}
		return "the shard was never open"
	case asked != "":
		return asked
	case c.Coordinator == m.options.Name:
		return ""
	case p.heard.IsZero():
		// It has taken the epoch, and may be about to open it.
		if now.Sub(p.since) > settling {
			return fmt.Sprintf("%s has not opened epoch %d", c.Coordinator, c.Epoch)
		}
		return ""
	case now.Sub(p.heard) > m.options.TakeoverAfter:
		return fmt.Sprintf("the data plane of %s is silent", c.Coordinator)
	case !p.gone.IsZero() && now.Sub(p.gone) > m.options.ControlTimeout:
		return fmt.Sprintf("the control plane of %s is gone", c.Coordinator)
	}
	return ""
}

// sawPresent takes note of which coordinators are announced.
func (m *manager) sawPresent(all []config.Presence, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.present = all
	there := false
	for _, p := range all {
		there = there || p.Name == m.known.Coordinator
	}
	switch {
	case there:
		m.peer.gone = time.Time{}
	case m.peer.gone.IsZero():
		m.peer.gone = now
	}
}

// peerAnswered takes note of an answer of another coordinator's data plane.
func (m *manager) peerAnswered(from netip.AddrPort, r *protocol.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if from == m.known.Address && r.Epoch == m.known.Epoch {
		m.peer.heard = m.options.now()
	}
}

// answered takes note of a replica's answer to a probe.
func (m *manager) answered(from netip.AddrPort, r *protocol.Message, now time.Time) {
	m.mu.Lock()
	f := m.followers[from]
	member, ok := m.known.MemberAt(from)
	m.mu.Unlock()
	if f != nil && ok && member.ID == r.Replica {
		f.hear(now, r.Status == protocol.StatusOK)
	}
}

// took takes note of what a step that was taken changed.
func (m *manager) took(a *membership.Action) {
	m.noteSteps()
	m.options.Logger.Info("membership", "step", string(a.Kind), "members", ids(a.Members), "epoch", uint32(a.Epoch))
	switch {
	case a.Kind == membership.TakeEpoch:
		m.mu.Lock()
		m.wanted = ""
		m.mu.Unlock()
	case a.Kind == membership.OpenKernel:
		// While others served, members were asked less often than they must answer now.
		m.excuseAll(m.options.now())
	case a.Kind == membership.ShrinkConfig:
		m.punishRemoved(a)
	}
	if a.ChangesConfig() {
		m.stale.Store(true) // Its revision is not known to be ours alone.
	}
}

func ids(members []config.Member) (all []uint32) {
	for _, m := range members {
		all = append(all, uint32(m.ID))
	}
	return all
}

// punish leaves a replica alone for a while that something failed at.
func (m *manager) punish(a *membership.Action) {
	if canWait(a.Kind) || a.Kind == membership.GrowMask {
		m.follow(a.Members[len(a.Members)-1].Address).hold(m.options.now())
	}
}

// punishRemoved leaves the replicas alone for a while that were taken out.
func (m *manager) punishRemoved(a *membership.Action) {
	m.mu.Lock()
	known := m.known
	m.mu.Unlock()
	for _, member := range known.Members {
		if _, ok := a.Config.Member(member.ID); !ok {
			m.options.Logger.Warn("a member was taken out", "id", uint32(member.ID), "address", member.Address)
			m.follow(member.Address).hold(m.options.now())
		}
	}
}

func (m *manager) now() time.Duration { return m.options.now().Sub(m.began) }
