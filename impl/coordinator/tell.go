// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"time"

	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/protocol"
	"dalio/traces/event"
)

// swaps is a Store that remembers the revision that its last Swap has made. It is the
// manager's, who takes one step at a time.
type swaps struct {
	config.Store
	made config.Revision
}

// Swap is that of the Store.
func (s *swaps) Swap(ctx context.Context, base config.Revision, next config.Config) (config.Revision, error) {
	made, err := s.Store.Swap(ctx, base, next)
	s.made = made
	return made, err
}

// tellBegin tells what the data plane knows before this control plane has done
// anything to it.
func (c *Coordinator) tellBegin() {
	if c.options.Events != nil {
		c.record(event.Begin, &event.Membership{IDs: c.inMask(), Ring: c.teller.reader.ID()})
	}
}

// tellStep tells of a step that was taken, before anything comes of it that others
// might see. One that failed is told if it may have been made all the same.
func (m *manager) tellStep(a *membership.Action, base config.Revision, began time.Duration, fenced []protocol.ReplicaID, failure error) {
	if m.options.Events == nil || failure != nil && !a.ChangesConfig() {
		return
	}
	told := &event.Membership{Revision: int64(base), IDs: ids(a.Members), Began: int64(began)}
	switch a.Kind {
	case membership.ShrinkServing, membership.GrowServe, membership.ShrinkMask, membership.GrowMask, membership.OpenKernel:
		told.IDs = m.inMask()
	case membership.Fence:
		told.IDs = nil
		for _, id := range fenced {
			told.IDs = append(told.IDs, uint32(id))
		}
	case membership.Collect:
		told.Lease = int64(m.leaseOfOthers())
	case membership.CatchUpOn:
		told.Source = a.Source.Address.String()
	}
	if a.ChangesConfig() {
		told.Revision, told.IDs, told.InSync = int64(m.swaps.made), nil, nil
		for _, member := range a.Config.Members {
			told.IDs = append(told.IDs, uint32(member.ID))
			if member.InSync {
				told.InSync = append(told.InSync, uint32(member.ID))
			}
		}
	}
	m.record(a.Kind.Name(), told, func(e *event.Event) {
		switch {
		case a.ChangesConfig():
			e.Epoch = uint32(a.Config.Epoch)
		case a.Epoch != 0:
			e.Epoch = uint32(a.Epoch)
		}
		if failure != nil {
			e.Drop = "failed"
		}
	})
}

// record records an event of the control plane, with what its data plane knows.
func (c *Coordinator) record(name string, told *event.Membership, more ...func(*event.Event)) {
	k := c.plane.view()
	told.Coordinator = c.options.Name
	e := &event.Event{Event: name, Epoch: uint32(k.Epoch), Members: k.Members, Serving: k.Serving, Membership: told}
	for _, add := range more {
		add(e)
	}
	c.options.Events.Record(e)
	_ = c.options.Events.Flush() // Close tells of it.
}

// inMask lists the ids of those whose acknowledgements the data plane needs.
func (c *Coordinator) inMask() (all []uint32) {
	k := c.plane.view()
	for i, id := range k.IDs {
		if k.Members>>i&1 != 0 {
			all = append(all, uint32(id))
		}
	}
	return all
}
