// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"errors"
	"fmt"

	"dalio/impl/replica/control"
)

// comeBack takes over what the disk says. A membership from before is kept, but
// closed: a disk may be older than it claims, which others can tell and the
// replica can't. An epoch that is recovered from it opens it again.
func (s *Server) comeBack() error {
	if s.options.ID != 0 {
		return errors.New("a replica with a disk needs a control plane that assigns its id: leave out the id")
	}
	kept, sessions := s.keeper.Kept()
	for _, r := range sessions {
		s.sessions.Record(r)
	}
	s.sessions.keeper = s.keeper
	s.shard, s.lastID = kept.Shard, kept.LastID
	r := &s.replica
	r.ID, r.Epoch, r.Fenced, r.Floor, r.Collect = kept.ID, kept.Epoch, true, kept.Floor, kept.Collect
	if kept.ID != 0 {
		s.returned = &control.Returned{Epoch: kept.Epoch, Floor: kept.Floor, Collect: kept.Collect}
	}
	return nil
}

// keep notes the membership on disk, before anything that is done under it. The
// caller holds the membership.
func (s *Server) keep() {
	if s.keeper != nil {
		r := &s.replica
		s.keeper.Keep(Membership{Shard: s.shard, ID: r.ID, LastID: s.lastID, Epoch: r.Epoch, Floor: r.Floor, Collect: r.Collect})
	}
}

// sync waits until all that has been said is durable.
func (s *Server) sync() error {
	if s.syncer == nil {
		return nil
	}
	if err := s.syncer.Sync(); err != nil {
		return fmt.Errorf("the store failed, so nothing more can be acknowledged: %w", err)
	}
	return nil
}
