// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"time"

	"dalio/impl/config"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// holding is what a witness knows that a machine holds of a key.
type holding struct {
	version protocol.Version
	op      protocol.Op
}

// lately is how long after a removal a coordinator is replaced just after it.
const lately = 500 * time.Millisecond

// replied takes note of a replica's answer.
func (s *witness) replied(at *machine, frame []byte, answer *protocol.Message) {
	switch answer.Type {
	case protocol.WriteAck:
		s.w.cover.action("HandleWrite")
	case protocol.ReadReply:
		s.w.cover.action("HandleRead")
		return
	default:
		return
	}
	m, err := decode(frame)
	if err != nil {
		return
	}
	c, held := s.w.cover, at.held[string(m.Key)]
	if m.Version.Less(held.version) {
		c.met(outOfOrder)
		if held.op == protocol.OpDelete && m.Op == protocol.OpPut {
			c.met(putAfter)
		}
	}
	if at.collect.Seq != 0 && !at.collect.Less(m.Version) {
		c.met(belowMark)
	}
	if held.version.Epoch < m.Version.Epoch && held.version.Seq > m.Version.Seq {
		c.met(lowerSeq)
	}
	s.has[m.Version] |= 1 << at.index
	s.sawJoiner(at, &m)
	if held.version.Less(m.Version) {
		at.held[string(m.Key)] = holding{m.Version, m.Op}
	}
}

// sawJoiner looks at a write that a member gets which is not in sync.
func (s *witness) sawJoiner(at *machine, m *protocol.Message) {
	if member, ok := s.w.store.config.Member(m.Replica); !ok || member.InSync {
		return
	}
	for _, other := range s.w.store.config.Members {
		if other.InSync && s.has[m.Version]>>s.w.machineAt(other.Address).index&1 == 0 {
			s.w.cover.met(joinerFirst)
			return
		}
	}
}

// asked takes note of a request that a replica has done.
func (s *witness) asked(at *machine, path string, body []byte) {
	c := s.w.cover
	switch path {
	case control.AssignPath:
		c.action("Assign")
		var a control.Assignment
		if json.Unmarshal(body, &a) != nil {
			return
		}
		i := a.ID.Index()
		if last := s.indices[i]; last != 0 && last != a.ID {
			c.met(indexAgain)
		}
		s.indices[i] = a.ID
		s.rejoins(at)
	case control.FencePath:
		c.action("Fence")
	case control.OpenPath:
		c.action("Open")
	case control.InstallPath:
		c.action("Install")
		if len(body) > 16 {
			c.met(installed)
		}
	case control.RecentPath:
		c.action("Collect")
	case control.SessionsPath:
		c.action("ReadSessions")
	case control.RangePath, control.DigestPath:
		c.action("ReadRecords")
	case control.SettlePath:
		c.action("Settle")
		var m control.Settlement
		if json.Unmarshal(body, &m) == nil && at.collect.Less(m.Collect) {
			c.action("CollectTombstones")
			at.collect = m.Collect
		}
	}
}

// rejoins takes note of a replica that is given a new id.
func (s *witness) rejoins(at *machine) {
	if at.disk == nil {
		at.held = map[string]holding{}
		return
	}
	mark := protocol.Version{}
	for _, other := range s.w.machines {
		if mark.Less(other.collect) {
			mark = other.collect
		}
	}
	for key, held := range at.held {
		newest := holding{}
		for _, other := range s.w.machines {
			if o := other.held[key]; other != at && newest.version.Less(o.version) {
				newest = o
			}
		}
		switch {
		case newest.version.Less(held.version):
			s.w.cover.met(surplus)
		case held.op == protocol.OpPut && newest.op == protocol.OpDelete && held.version.Less(newest.version) && !mark.Less(newest.version):
			s.w.cover.met(collected)
		}
	}
}

// lost takes note of a replica that ends, or comes back.
func (s *witness) lost(at *machine) {
	for _, h := range s.w.hosts {
		h.table.pending(func(p *sequenced) {
			if has := s.has[p.version]; has>>at.index&1 != 0 && has&(has-1) == 0 {
				s.w.cover.met(holderLost)
			}
		})
	}
	if at.disk == nil {
		at.held = map[string]holding{}
	}
}

func (s *witness) started(at *machine) {
	if _, ok := s.w.store.config.MemberAt(addrPort(at.node.address)); ok && s.w.store.config.Epoch != 0 {
		s.w.cover.met(cameBack)
	}
}

// configured takes note of a change of the configuration.
func (s *witness) configured(before, after *config.Config) {
	c := s.w.cover
	if after.Epoch != before.Epoch {
		c.action("TakeEpoch")
		s.epochEnds(before)
		return
	}
	owner := s.w.active(s.w.hosts[0])
	open := owner.control != nil && owner.control.driven.Serving() == after.Epoch
	fewer := len(after.Members) < len(before.Members)
	switch {
	case fewer && !open && after.Epoch != 0:
		c.action("CutMembers")
		for _, m := range before.Members {
			if _, stays := after.Member(m.ID); m.InSync && !stays {
				c.met(unfenced)
			}
		}
	case fewer:
		c.action("ShrinkConfig")
		s.removed = s.w.now
	case len(after.Members) > len(before.Members):
		c.action("GrowConfig")
	case after.InSync() > before.InSync():
		c.action("EnterSync")
	}
	if len(after.Members) != len(before.Members) {
		owner.table.pending(func(*sequenced) { c.met(changePending) })
	}
}

// epochEnds takes note of an epoch that is replaced.
func (s *witness) epochEnds(before *config.Config) {
	c := s.w.cover
	if before.Epoch == 0 {
		return
	}
	if before.InSync() < len(before.Members) {
		c.met(joinerAtEnd)
	}
	if s.w.now-s.removed < lately {
		c.met(removedLately)
	}
	for _, h := range s.w.hosts {
		if h.node.name != before.Coordinator || h.table.epoch != before.Epoch {
			continue
		}
		h.table.pending(func(p *sequenced) {
			has, all := s.has[p.version], uint16(0)
			for _, m := range before.Members {
				all |= 1 << s.w.machineAt(m.Address).index
			}
			if has&all != 0 && all&^has != 0 {
				c.met(partialEpoch)
			}
			for i := range h.table.slots {
				if o := &h.table.slots[i]; o.key == p.key && p.version.Less(o.version) {
					c.met(supersededEnd)
				}
			}
		})
	}
}
