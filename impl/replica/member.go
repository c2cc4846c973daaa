// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"
	"net/http"

	"dalio/impl/internal/failpoint"
	"dalio/impl/replica/control"
	"dalio/protocol"
	"dalio/traces/event"
)

var (
	afterAssign = failpoint.New("replica.after-assign")
	afterFence  = failpoint.New("replica.after-fence")
	beforeOpen  = failpoint.New("replica.before-open")
)

// refuse returns why a request does not fit what the replica is now.
func (s *Server) refuse(format string, arguments ...any) error {
	return &control.Error{Code: http.StatusConflict, Message: fmt.Sprintf(format, arguments...), ID: s.replica.ID, Epoch: s.replica.Epoch}
}

// change runs a change of the membership while no worker handles or answers
// anything, so that what was true before it is never said after it. The read path is
// told before anybody learns of the change.
// It is durable when change returns.
func (s *Server) change(f func() error) error {
	s.membership.Lock()
	err := f()
	s.show()
	if err == nil {
		s.keep()
	}
	s.membership.Unlock()
	if err != nil {
		return err
	}
	return s.sync()
}

// ours says whether the shard is this replica's; the first one that claims it is.
func (s *Server) ours(shard string) error {
	if s.shard != "" && shard != s.shard {
		return s.refuse("the replica belongs to shard %q, not %q; give it another folder and address, or empty its own", s.shard, shard)
	}
	return nil
}

func (s *Server) assign(a control.Assignment) error {
	return s.change(func() error {
		if err := s.ours(a.Shard); err != nil {
			return err
		}
		switch r := &s.replica; {
		case a.ID>>4 == 0:
			return s.refuse("replica id %d: ids are generation<<4 | index, with a generation of at least 1", a.ID)
		case r.ID == a.ID && r.Epoch == a.Epoch && !r.Fenced:
			return nil // Asked twice.
		case a.Epoch < r.Epoch || a.ID>>4 <= s.lastID>>4:
			return s.refuse("id %d of epoch %d is from the past; ids are minted anew for each membership", a.ID, a.Epoch)
		}
		s.forgetCatchUp()
		if err := s.store.Begin(a.ID); err != nil {
			return fmt.Errorf("begin a membership: %w", err)
		}
		s.sessions.clear()
		s.shard, s.lastID, s.returned = a.Shard, a.ID, nil
		s.replica.Assign(a.ID, a.Epoch, a.Collect)
		s.tell("Assigned", "")
		return afterAssign.Hit()
	})
}

func (s *Server) fence(f control.Fence) (control.Fenced, error) {
	var out control.Fenced
	err := s.change(func() error {
		if err := s.ours(f.Shard); err != nil {
			return err
		}
		before := s.replica.Epoch
		if !s.replica.Fence(f.Epoch) {
			return s.refuse("epoch %d has been replaced", f.Epoch)
		}
		if f.Epoch > before {
			s.tell("Fenced", "")
		}
		if s.returned != nil && s.returned.Fenced == 0 && f.Epoch > s.returned.Epoch {
			s.returned.Fenced = f.Epoch
		}
		s.forgetCatchUp()
		out = control.Fenced{ID: s.replica.ID, Floor: s.replica.Floor, Newest: s.newest()}
		return afterFence.Hit()
	})
	return out, err
}

// newest returns the newest of the recent versions, or the floor.
func (s *Server) newest() protocol.Version {
	newest := s.replica.Floor
	for i := range Stripes {
		s.store.Recent(i, func(_ string, r protocol.Record) bool {
			if newest.Less(r.Version) {
				newest = r.Version
			}
			return true
		})
	}
	return newest
}

// install takes over a message of a recovery: newest wins.
func (s *Server) install(epoch protocol.Epoch, m *protocol.Message) error {
	s.membership.Lock()
	defer s.membership.Unlock()
	if s.replica.Epoch != epoch || !s.replica.Fenced || s.replica.ID == 0 || s.unfenced() {
		return s.refuse("nothing can be recovered into epoch %d: the replica is not fenced for it, or has no membership", epoch)
	}
	switch {
	case m.Type == protocol.WriteAck:
		s.sessions.Record(sessionRecord(m))
	case m.Type == protocol.Write && protocol.KeyHash(m.Key) == m.KeyHash && protocol.Digest(m.Key, m.Value) == m.Digest:
		if r := recordOf(m); s.store.Get(m.Key).Version.Less(r.Version) {
			s.store.Put(m.Key, r)
		}
		s.sessions.Record(sessionRecord(m))
	default:
		return &control.Error{Code: http.StatusBadRequest, Message: fmt.Sprintf("a %v, or one that was damaged: want Write and WriteAck messages", m.Type)}
	}
	return nil
}

func (s *Server) open(o control.Opening) error {
	return s.change(func() error {
		if s.replica.ID == 0 {
			return s.refuse("the replica has no membership to open")
		}
		if err := beforeOpen.Hit(); err != nil {
			return err
		}
		if s.unfenced() {
			return s.refuse("the replica has restarted in epoch %d: only a later one can open it", s.replica.Epoch)
		}
		fenced := s.replica.Fenced
		if !s.replica.Open(o.Epoch) {
			return s.refuse("epoch %d can't be opened", o.Epoch)
		}
		s.returned = nil
		if fenced {
			s.tell("Opened", "")
			s.keep()
			s.settleStore(s.replica.Floor, s.replica.Collect)
		}
		return nil
	})
}

func (s *Server) settle(m control.Settlement) error {
	return s.change(func() error {
		if !s.replica.Settle(m.Epoch, m.Floor, m.Collect) {
			return s.refuse("nothing can be settled in epoch %d", m.Epoch)
		}
		// The mark goes to disk before what it lets go of leaves it.
		s.keep()
		s.settleStore(s.replica.Floor, s.replica.Collect)
		return nil
	})
}

// tell records a step of the membership, which nobody can have heard of before. The
// source is whom the replica has caught up from. The membership is held.
func (s *Server) tell(step, source string) {
	if s.options.Events == nil {
		return
	}
	s.options.Events.Record(&event.Event{Event: step, Epoch: uint32(s.replica.Epoch), Replica: uint32(s.replica.ID),
		Membership: &event.Membership{At: s.packets.LocalAddr().String(), Source: source}})
	_ = s.options.Events.Flush() // Close tells of it.
}

// unfenced says whether the process began under its membership, and nobody has
// fenced it since.
func (s *Server) unfenced() bool { return s.returned != nil && s.returned.Epoch == s.replica.Epoch }

func (s *Server) settleStore(floor, collect protocol.Version) {
	for i := range Stripes {
		s.store.Settle(i, floor)
		s.store.Collect(i, collect)
	}
}

func (s *Server) expel(e control.Expulsion) error {
	return s.change(func() error {
		if s.replica.ID == e.ID {
			s.forgetCatchUp()
		}
		if s.replica.ID == e.ID && e.ID != 0 {
			s.tell("Expelled", "")
		}
		s.replica.Expel(e.ID)
		return nil
	})
}

// eachStripe visits some of the stripes, each with its lock, under one membership
// as far as the visitor needs no longer.
func (s *Server) eachStripe(of func(stripe int) bool, visit func(stripe int)) {
	for i := range Stripes {
		if !of(i) {
			continue
		}
		s.membership.RLock()
		s.stripes[i].Lock()
		visit(i)
		s.stripes[i].Unlock()
		s.membership.RUnlock()
	}
}
