// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"dalio/impl/internal/failpoint"
)

// reachTimeout is how long a process has to come to a point.
const reachTimeout = 4 * time.Second

// errNotReached says that a process did not come to its point.
var errNotReached = fmt.Errorf("the point was not reached within %v", reachTimeout)

// trigger has a node do what leads to a point; nil if it does anyway. What comes of
// it is told by whether the point is reached: who is to do it may die meanwhile.
type trigger func(ctx context.Context, s Shard, n Node, random *rand.Rand)

// atPoints kills processes at named moments.
func atPoints(durable bool) []Fault {
	another := func(_ context.Context, s Shard, _ Node, random *rand.Rand) { _ = pick(s.Replicas(), random).Kill() }
	failover := func(ctx context.Context, s Shard, _ Node, _ *rand.Rand) { _ = s.Admin(ctx, "failover", nil) }
	rejoin := func(ctx context.Context, s Shard, n Node, _ *rand.Rand) { _ = s.Admin(ctx, "replace", n) }

	active := func(s Shard, _ *rand.Rand) Node { return s.Active() }
	standby := func(s Shard, _ *rand.Rand) Node { return s.Standby() }
	anyReplica := func(s Shard, random *rand.Rand) Node { return pick(s.Replicas(), random) }

	var faults []Fault
	for _, point := range []string{"serving-shrunk", "config-shrunk", "mask-shrunk", "minted", "assigned", "mask-grown",
		"config-grown", "caught-up", "in-sync", "settled"} {
		f := killedAt("killed-at-"+point, "coordinator."+point, active, another)
		f.Needs = twoToSpare // Whichever replica is killed, it served.
		faults = append(faults, f)
	}
	for _, point := range []string{"epoch-taken", "fenced", "members-cut", "recents-collected", "installed", "replicas-opened", "opened"} {
		faults = append(faults, killedAt("killed-at-"+point, "coordinator."+point, standby, failover))
	}
	// A replica that is to join again has to be let go before.
	replicas := map[string]trigger{"before-apply": nil, "after-apply": nil, "after-fence": failover, "before-open": failover,
		"after-assign": rejoin, "catch-up-range": rejoin}
	if durable {
		replicas["before-sync"], replicas["after-sync"] = nil, nil
	}
	for _, point := range slices.Sorted(maps.Keys(replicas)) {
		f := killedAt("replica-killed-at-"+point, "replica."+point, anyReplica, replicas[point])
		if point == "after-assign" || point == "catch-up-range" {
			f.Needs = twoToSpare
		}
		faults = append(faults, f)
	}
	return faults
}

// killedAt has a node's process killed when it comes to a point. One that does not
// come there is an error.
func killedAt(name, point string, of func(Shard, *rand.Rand) Node, lead trigger) Fault {
	return Fault{name, takeover, func(ctx context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
		n := of(s, random)
		ended := n.Watch()
		if err := n.Arm(ctx, point, failpoint.Kill); err != nil {
			return nil, err
		}
		reaching, cancel := context.WithTimeout(ctx, reachTimeout)
		defer cancel()
		if lead != nil {
			lead(reaching, s, n, random)
		}
		for !ended() {
			if reaching.Err() != nil {
				return nil, errors.Join(errNotReached, n.Arm(ctx, point, ""))
			}
			sleep(reaching, pollInterval)
		}
		return nil, nil
	}, 0}
}

// onDisks has disks fail, and the whole shard lose power.
func onDisks() []Fault {
	return []Fault{
		{"disk-full", oneToSpare, func(_ context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
			n := pick(s.Replicas(), random)
			return func(context.Context) error { return n.FillDisk(false) }, n.FillDisk(true)
		}, 300 * time.Millisecond},
		{"fsync-fails", oneToSpare, func(ctx context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
			return nil, pick(s.Replicas(), random).Arm(ctx, "replica.fsync", failpoint.Fail)
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
