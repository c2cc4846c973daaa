// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"time"

	"dalio/protocol"
)

// Status reports on the coordinator as it is now; on the session table as it was up
// to 0.1 s ago.
func (c *Coordinator) Status() (*Status, error) {
	counters, err := c.plane.data.Counters()
	if err != nil {
		return nil, err
	}
	s := &Status{Name: c.options.Name, Address: c.options.Listen.String(), Device: c.network.String(), Uptime: time.Since(c.started).Seconds(),
		Role: RoleFixed, Members: []Member{}, Pending: []PendingWrite{},
		Drops: counters.Drops, Actions: counters.Actions, Activities: counters.Activities}
	if err := c.reportTable(s); err != nil {
		return nil, err
	}
	now, members := time.Now(), c.plane.located()
	c.mu.Lock()
	for i := range s.Members {
		m := &s.Members[i]
		m.Reads = counters.Reads[protocol.ReplicaID(m.ID).Index()]
		for _, located := range members {
			if located.ID == protocol.ReplicaID(m.ID) {
				m.Device = c.network.nameOf(located.device)
				m.LastHeard = ago(c.heard[addrPort(located.Address)], now)
			}
		}
	}
	c.mu.Unlock()
	if c.manager != nil {
		c.manager.report(s, now)
	}
	return s, nil
}

// reportTable fills in what the data plane holds.
func (c *Coordinator) reportTable(s *Status) error {
	c.watching.Lock()
	defer c.watching.Unlock()
	state, err := c.plane.data.Summary()
	if err != nil {
		return err
	}
	now := time.Now()
	if !c.watch.fresh(state.Epoch, now) {
		if state, err = c.plane.data.State(); err != nil {
			return err
		}
		c.watch.scan(state, now)
	}
	c.watch.report(s, state, now)
	return nil
}

// ago returns the seconds since then, nil for never.
func ago(then, now time.Time) *float64 {
	if then.IsZero() {
		return nil
	}
	seconds := now.Sub(then).Seconds()
	return &seconds
}
