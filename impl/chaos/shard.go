// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"time"

	"dalio/impl/fabric"
	"dalio/impl/internal/failpoint"
)

// Shard is what the faults break.
type Shard interface {
	// Health says how the shard stands now, as far as anybody answers.
	Health(ctx context.Context) Health
	// Replicas and Coordinators are the nodes that have one, running or not.
	// Standbys are the coordinators that are not active.
	Replicas() []Node
	Coordinators() []Node
	// Active is the coordinator that serves, as far as known, and Standby another.
	Active() Node
	Standby() Node
	// Clients is the node of the clients.
	Clients() Node

	// Admin has the shard's operator do something: "remove", "drain" and "replace"
	// of a replica, by its node, or "failover" with no node.
	Admin(ctx context.Context, what string, replica Node) error
	// Etcd stops or starts what keeps the configuration.
	Etcd(ctx context.Context, running bool) error
	// Detach takes the program off the active coordinator's device, and Replace
	// puts another one, which passes every frame, in its place.
	Detach(ctx context.Context) error
	Replace(ctx context.Context) error
}

// Node is a host of the shard with its process.
type Node interface {
	Name() string
	// Kill, Stop and Continue signal the node's process.
	Kill() error
	Stop() error
	Continue() error
	// Watch returns what says whether the process that the node has now has ended.
	Watch() (ended func() bool)
	// Arm sets a failpoint of the node's process; no action takes it back.
	Arm(ctx context.Context, point string, a failpoint.Action) error
	// Cut stops all frames of a direction, or lets them pass again.
	Cut(d fabric.Direction, cut bool) error
	// SetFaults sets the faults of a direction.
	SetFaults(d fabric.Direction, f fabric.Faults) error
	// SetClock puts the monotonic clock of the node's next processes so far ahead.
	SetClock(ahead time.Duration)
	// FillDisk leaves no room on the node's disk, or makes room again.
	FillDisk(full bool) error
}

// Health is how a shard stands.
type Health struct {
	// Serving says that a coordinator answers and is active.
	Serving bool
	// Members are the replicas that must acknowledge, InSync those among them
	// that are caught up.
	Members, InSync int
	// Standby says that another coordinator answers.
	Standby bool
}

func (h Health) meets(n Needs) bool {
	return h.Serving && h.InSync >= n.InSync && (h.Standby || !n.Standby)
}
