// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"dalio/impl/internal/failpoint"
)

// atPoints kills processes at named moments. A point of the coordinator's is
// reached while it does what trigger has it do.
func atPoints(durable bool) []Fault {
	killReplica := func(_ context.Context, s Shard, random *rand.Rand) error { return pick(s.Replicas(), random).Kill() }
	failover := func(ctx context.Context, s Shard, _ *rand.Rand) error {
		// The one that is to take over may die of it, and then says nothing.
		_ = s.Admin(ctx, "failover", nil)
		return nil
	}
	faults := []Fault{}
	for _, point := range []string{"serving-shrunk", "config-shrunk", "mask-shrunk", "minted", "assigned", "mask-grown",
		"config-grown", "caught-up", "in-sync", "settled"} {
		faults = append(faults, Fault{"killed-at-" + point, takeover,
			armed(Shard.Active, "coordinator."+point, killReplica), 300 * time.Millisecond})
	}
	for _, point := range []string{"epoch-taken", "fenced", "members-cut", "recents-collected", "installed", "replicas-opened", "opened"} {
		faults = append(faults, Fault{"killed-at-" + point, takeover,
			armed(Shard.Standby, "coordinator."+point, failover), 300 * time.Millisecond})
	}
	points := []string{"before-apply", "after-apply", "after-fence", "after-assign", "catch-up-range", "before-open"}
	if durable {
		points = append(points, "before-sync", "after-sync")
	}
	for _, point := range points {
		trigger := failover
		if point == "after-assign" || point == "catch-up-range" {
			trigger = killReplica
		}
		faults = append(faults, Fault{"replica-killed-at-" + point, takeover, func(ctx context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
			n := pick(s.Replicas(), random)
			return armed(func(Shard) Node { return n }, "replica."+point, trigger)(ctx, s, random)
		}, 300 * time.Millisecond})
	}
	return faults
}

// armed has a node's process killed when it comes to a point.
func armed(of func(Shard) Node, point string, trigger func(context.Context, Shard, *rand.Rand) error) injection {
	return func(ctx context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
		n := of(s)
		if err := n.Arm(ctx, point, failpoint.Kill); err != nil {
			return nil, err
		}
		disarm := func(ctx context.Context) error {
			// A process that died there is a new one now, with nothing armed.
			_ = n.Arm(ctx, point, "")
			return nil
		}
		return disarm, trigger(ctx, s, random)
	}
}

// onDisks has disks fail, and the whole shard lose power.
func onDisks() []Fault {
	return []Fault{
		{"disk-full", oneToSpare, func(_ context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
			n := pick(s.Replicas(), random)
			return func(context.Context) error { return n.FillDisk(false) }, n.FillDisk(true)
		}, 300 * time.Millisecond},
		{"fsync-fails", oneToSpare, func(ctx context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
			return nil, pick(s.Replicas(), random).Arm(ctx, "replica.before-sync", failpoint.Fail)
		}, 0},
		{"power-lost", Needs{InSync: 1}, powerLost, 0},
	}
}

// powerLost kills every process of the shard at once.
func powerLost(_ context.Context, s Shard, _ *rand.Rand) (func(context.Context) error, error) {
	var problems []error
	for _, n := range append(s.Coordinators(), s.Replicas()...) {
		problems = append(problems, n.Kill())
	}
	return nil, errors.Join(problems...)
}
