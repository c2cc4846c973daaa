// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"dalio/impl/coordinator"
)

// healthTimeout bounds the question to the coordinators, one of which may have stopped.
const healthTimeout = 300 * time.Millisecond

// Health is how a shard stands, as far as its coordinators answer.
type Health struct {
	// Active is the coordinator that serves, nil if none says so, and Status what it
	// tells.
	Active *Process
	Status *coordinator.Status
	// Members are the replicas that must acknowledge writes, Serving those among
	// them that are read from too.
	Members, Serving int
	// Standby says that another coordinator could take over.
	Standby bool
}

// Health asks the coordinators, all at once, how the shard stands.
func (c *Cluster) Health(ctx context.Context) (h Health) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	coordinators := c.View().Coordinators
	answers := make([]*coordinator.Status, len(coordinators))
	var asking sync.WaitGroup
	for i, p := range coordinators {
		asking.Go(func() {
			if status, err := coordinator.FetchStatus(ctx, c.Socket(p)); err == nil {
				answers[i] = status
			}
		})
	}
	asking.Wait()
	for i, status := range answers {
		switch {
		case status == nil:
		case status.Role == coordinator.RoleActive && h.Active == nil:
			h.Active, h.Status, h.Members = coordinators[i], status, len(status.Members)
			for _, m := range status.Members {
				if m.Serving {
					h.Serving++
				}
			}
		case status.Role == coordinator.RoleStandby:
			h.Standby = true
		}
	}
	return h
}

// AwaitWhole waits until all replicas serve and a coordinator stands by, and
// returns how the shard stands then. It asks every so often.
func (c *Cluster) AwaitWhole(ctx context.Context, every time.Duration) (Health, error) {
	replicas := len(c.View().Replicas)
	for {
		h := c.Health(ctx)
		if h.Active != nil && h.Members == replicas && h.Serving == replicas && h.Standby {
			return h, nil
		}
		if !sleep(ctx, every) {
			return h, fmt.Errorf("the shard is not whole: %d members, %d of them serve, of %d replicas; active: %v, standby: %v (%w)",
				h.Members, h.Serving, replicas, h.Active != nil, h.Standby, ctx.Err())
		}
	}
}
