// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"dalio/impl/fabric"
)

var (
	from = []fabric.Direction{fabric.FromNode}
	to   = []fabric.Direction{fabric.ToNode}
	both = []fabric.Direction{fabric.FromNode, fabric.ToNode}
)

// partitions cuts links one way and both ways.
func partitions() []Fault {
	replica := func(d []fabric.Direction) injection {
		return func(_ context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
			return isolate(pick(s.Replicas(), random), d...)
		}
	}
	active := func(d []fabric.Direction) injection {
		return func(_ context.Context, s Shard, _ *rand.Rand) (func(context.Context) error, error) {
			return isolate(s.Active(), d...)
		}
	}
	const short, long = 300 * time.Millisecond, 700 * time.Millisecond
	return []Fault{
		{"replica-not-heard", oneToSpare, replica(from), short},
		{"replica-not-reached", oneToSpare, replica(to), short},
		{"replica-cut-off", oneToSpare, replica(both), short},
		{"coordinator-not-heard", takeover, active(from), long},
		{"coordinator-not-reached", takeover, active(to), long},
		{"coordinator-cut-off", takeover, active(both), long},
		{"standby-cut-off", takeover, func(_ context.Context, s Shard, _ *rand.Rand) (func(context.Context) error, error) {
			return isolate(s.Standby(), both...)
		}, long},
		{"two-replicas-cut-off", twoToSpare, func(_ context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
			nodes := s.Replicas()
			order := random.Perm(len(nodes))
			one, err1 := isolate(nodes[order[0]], both...)
			two, err2 := isolate(nodes[order[1]], both...)
			return func(ctx context.Context) error { return errors.Join(one(ctx), two(ctx)) }, errors.Join(err1, err2)
		}, short},
		{"replica-killed-another-cut-off", twoToSpare, func(_ context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
			nodes := s.Replicas()
			order := random.Perm(len(nodes))
			mend, err := isolate(nodes[order[0]], both...)
			return mend, errors.Join(err, nodes[order[1]].Kill())
		}, short},
	}
}

// bursts spoil all links for a while.
func bursts() []Fault {
	everywhere := func(f fabric.Faults) injection {
		return func(_ context.Context, s Shard, _ *rand.Rand) (func(context.Context) error, error) {
			return disturb(append(append(s.Replicas(), s.Coordinators()...), s.Clients()), f)
		}
	}
	const lasts = 300 * time.Millisecond
	ms := time.Millisecond
	return []Fault{
		{"loss-burst", Needs{}, everywhere(fabric.Faults{Loss: 0.3}), lasts},
		{"duplicate-burst", Needs{}, everywhere(fabric.Faults{Duplicate: 0.5}), lasts},
		{"delay-burst", Needs{}, everywhere(fabric.Faults{Delay: 0.3, DelayMin: ms, DelayMax: 30 * ms}), lasts},
		{"reorder-burst", Needs{}, everywhere(fabric.Faults{Reorder: 0.5}), lasts},
		{"replica-lossy", Needs{}, func(_ context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
			return disturb([]Node{pick(s.Replicas(), random)}, fabric.Faults{Loss: 0.5})
		}, lasts},
		{"clients-lossy", Needs{}, func(_ context.Context, s Shard, _ *rand.Rand) (func(context.Context) error, error) {
			return disturb([]Node{s.Clients()}, fabric.Faults{Loss: 0.5, Duplicate: 0.2})
		}, lasts},
	}
}

// disturb gives both directions of the nodes' links faults until it is mended.
func disturb(nodes []Node, f fabric.Faults) (mend func(context.Context) error, err error) {
	set := func(f fabric.Faults) error {
		var problems []error
		for _, n := range nodes {
			for _, d := range both {
				problems = append(problems, n.SetFaults(d, f))
			}
		}
		return errors.Join(problems...)
	}
	return func(context.Context) error { return set(fabric.Faults{}) }, set(f)
}
