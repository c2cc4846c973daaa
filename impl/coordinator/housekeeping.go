// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

const (
	// settleInterval is how often members are told what is settled, and settleShare
	// the greatest share of the time that finding it out may take.
	settleInterval = 100 * time.Millisecond
	settleShare    = 20
	// abandonedAfter is how long a write may be pending before it is seen to.
	abandonedAfter = 2 * time.Second
	// epochAgain is how long after an epoch was taken for the sake of a write that
	// nobody holds another one may be.
	epochAgain = 10 * time.Second
	// redriven bounds the writes that are seen to at once.
	redriven = 64
)

// probe asks members, and the coordinator that is stood by for, whether they are
// there.
func (m *manager) probe(ctx context.Context) {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		m.probeOnce()
	}
}

// probeOnce probes all, which is due every probeInterval.
func (m *manager) probeOnce() {
	m.noteAwake(m.options.now())
	m.mu.Lock()
	known := m.known
	m.mu.Unlock()
	if k := m.plane.view(); k.Epoch != 0 {
		for _, member := range m.plane.located() {
			m.prober.probe(addrPort(member.Address), k.Epoch, member.ID)
		}
	} else if known.Coordinator != "" && known.Coordinator != m.options.Name {
		m.peers.probe(known.Address, known.Epoch, 0)
	}
}

// noteAwake takes note that this process runs. If it did not for a while, it waits for
// everybody anew: what came first since must not be all that is believed to live.
func (m *manager) noteAwake(now time.Time) {
	m.mu.Lock()
	slept := now.Sub(m.awake)
	m.awake = now
	m.mu.Unlock()
	if slept > asleep {
		m.excuseAll(now)
	}
}

// excuseAll begins to wait anew for everybody: it is this process that was not
// there to hear them.
func (m *manager) excuseAll(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.followers {
		f.excuse(now)
	}
	if !m.peer.heard.IsZero() {
		m.peer.heard = now
	}
	m.peer.gone = time.Time{}
}

// floor is what members have been told of what is settled.
type floor struct {
	told protocol.Version
	// by are the members that have confirmed it.
	by map[protocol.ReplicaID]bool
}

// settle tells members again and again what is settled.
func (m *manager) settle(ctx context.Context) {
	for pauseFor := settleInterval; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pauseFor):
		}
		began := m.options.now()
		if err := m.settleOnce(ctx); err != nil {
			m.options.Logger.Debug("the members were not told what is settled", "error", err)
		}
		// A large table takes long to look through.
		pauseFor = max(settleInterval, m.options.now().Sub(began)*settleShare)
	}
}

func (m *manager) settleOnce(ctx context.Context) error {
	m.mu.Lock()
	known, last, busy := m.known, m.floor, m.taking || len(m.joining) > 0
	m.mu.Unlock()
	if k := m.plane.view(); k.Epoch == 0 || k.Epoch != known.Epoch || known.Coordinator != m.options.Name {
		return nil
	}
	floor, err := m.plane.data.Floor()
	if err != nil || floor.Epoch != known.Epoch {
		return err
	}
	s := control.Settlement{Epoch: known.Epoch, Floor: floor, Collect: m.collectMark(&known, &last, busy)}
	m.mu.Lock()
	if m.taking || len(m.joining) > 0 {
		// Somebody may have begun to join with the mark as it was before.
		s.Collect = protocol.Version{}
	}
	m.mu.Unlock()
	confirmed := m.tellSettled(ctx, known.Members, s)
	m.mu.Lock()
	m.floor = confirmed
	m.mu.Unlock()
	return afterSettled.Hit()
}

// collectMark returns the mark up to which tombstones may be collected. It is what
// all members have confirmed to be settled, and stays where it is while anybody
// catches up, who might miss a tombstone.
func (m *manager) collectMark(c *config.Config, last *floor, joining bool) protocol.Version {
	whole := !joining && c.InSync() == len(c.Members)
	var highest protocol.Version
	for _, member := range c.Members {
		whole = whole && last.by[member.ID]
		if s := m.follow(member.Address).look(m.options.now(), time.Hour).status; highest.Less(s.Collect) {
			highest = s.Collect
		}
	}
	if whole && last.told.Epoch == c.Epoch && highest.Less(last.told) {
		highest = last.told
	}
	return m.asker.collected(highest)
}

// learnMark asks the members up to where tombstones have been collected before
// somebody joins, who is to take older writes for stale. A predecessor may have
// told them a moment ago.
func (m *manager) learnMark(ctx context.Context, c *config.Config) error {
	ctx, cancel := bounded(ctx, fenceTimeout)
	defer cancel()
	answered, problems := 0, []error(nil)
	for _, member := range c.Members {
		if !member.InSync {
			continue
		}
		s, err := m.asker.clientAt(member.Address).Status(ctx)
		if err == nil && s.ID != member.ID {
			err = fmt.Errorf("replica %v: it is member %d, and not %d any more", member.Address, s.ID, member.ID)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		answered++
		m.asker.collected(s.Collect)
	}
	if answered == 0 {
		return fmt.Errorf("no member in sync tells up to where tombstones have been collected: %w", errors.Join(problems...))
	}
	return nil
}

func (m *manager) tellSettled(ctx context.Context, members []config.Member, s control.Settlement) floor {
	ctx, cancel := bounded(ctx, fenceTimeout)
	defer cancel()
	told := floor{told: s.Floor, by: map[protocol.ReplicaID]bool{}}
	var mu sync.Mutex
	var all []func()
	for _, member := range members {
		all = append(all, func() {
			if m.asker.clientAt(member.Address).Settle(ctx, s) == nil {
				mu.Lock()
				defer mu.Unlock()
				told.by[member.ID] = true
			}
		})
	}
	m.options.together(all...)
	return told
}

// redrive is the seeing to writes that nobody acknowledges any more.
type redrive struct {
	running bool
	// taken is when an epoch was taken for the sake of one.
	taken time.Time
}

// abandoned sees to writes that have been pending for long: whoever asked for them
// may be gone, and readers wait for them.
func (m *manager) abandoned(writes []protocol.SessionEntry, state *protocol.Coordinator) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(writes) == 0 || m.redrive.running || m.taking {
		return
	}
	known := m.known
	for _, member := range known.Members {
		if m.followers[member.Address] == nil || m.followers[member.Address].look(m.options.now(), m.options.SuspectAfter).suspected {
			return // It is for the members to change first.
		}
	}
	m.redrive.running = true
	m.beside(func() {
		ctx, cancel := bounded(m.options.background(), recoverTimeout)
		defer cancel()
		complete := m.resend(ctx, &known, writes[:min(len(writes), redriven)], state)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.redrive.running = false
		if now := m.options.now(); !complete && now.Sub(m.redrive.taken) > epochAgain {
			m.redrive.taken, m.wanted = now, "no member holds a write that is pending"
		}
	})
}

// resend sends members the writes again that they lack, from the copies of others.
// It returns false if there is a write of which nobody has a copy.
func (m *manager) resend(ctx context.Context, c *config.Config, writes []protocol.SessionEntry, state *protocol.Coordinator) bool {
	copies := map[protocol.Version]protocol.Message{}
	for _, member := range c.Members {
		r, err := m.asker.Recent(ctx, member, nil)
		if err != nil {
			return true // Nothing is known of it; there is another time.
		}
		for _, held := range r.Records {
			copies[held.Version] = held
		}
	}
	complete := true
	for i := range writes {
		e := &writes[i]
		held, ok := copies[protocol.Version{Epoch: state.Epoch, Seq: e.Seq}]
		if !ok {
			complete = false
			continue
		}
		// With nobody missing, any acknowledgement has it found out that it is done.
		missing := state.Members &^ e.Acks
		if missing == 0 {
			missing = state.Members
		}
		for _, member := range m.plane.located() {
			if missing>>member.ID.Index()&1 != 0 {
				held.Type, held.Epoch, held.Replica, held.Sent = protocol.Write, state.Epoch, member.ID, uint64(m.options.leaseNow())
				held.Session, held.Writer, held.Client = e.Owner, e.Owner, protocol.Address{}
				m.prober.send(addrPort(member.Address), &held)
			}
		}
	}
	return complete
}

// report adds to a status what the manager knows.
func (m *manager) report(s *Status, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.known.Clone()
	s.Config, s.Coordinators, s.Trouble = &known, m.present, m.trouble
	s.Role = RoleStandby
	k := m.plane.view()
	switch {
	case m.taking:
		s.Role = RoleTakingOver
	case k.Epoch != 0 && k.Epoch == known.Epoch && known.Coordinator == m.options.Name:
		s.Role = RoleActive
	}
	for address, f := range m.followers {
		s.Replicas = append(s.Replicas, m.describe(address.String(), f.look(now, m.options.SuspectAfter), &known, &k, now))
	}
	sortReplicas(s.Replicas)
}

// describe says how a replica stands.
func (m *manager) describe(address string, r replicaView, c *config.Config, k *membership.Kernel, now time.Time) ReplicaStatus {
	s := ReplicaStatus{Address: address, ID: uint32(r.status.ID), State: "absent", Suspected: r.suspected, LastHeard: ago(r.heard, now),
		Kernel: r.status.Counters.Kernel}
	for _, home := range c.Replicas {
		if home.Address.String() == address && home.Drained {
			s.State = "drained"
		}
	}
	if r.known && !r.suspected && s.State == "absent" {
		s.State = "waiting"
	}
	for _, member := range c.Members {
		if member.Address.String() != address {
			continue
		}
		s.ID = uint32(member.ID)
		switch {
		case r.status.Returned != nil && r.status.ID == member.ID:
			s.State = "returned"
		case !member.InSync:
			s.State = "joining"
		case k.Epoch == 0 || k.Serving>>member.ID.Index()&1 != 0:
			s.State = "serving"
		default:
			s.State = "in sync"
		}
	}
	if p := r.status.CatchUp; s.State == "joining" {
		s.CatchUp = &p
	}
	return s
}
