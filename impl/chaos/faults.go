// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"dalio/impl/fabric"
)

// What most faults need: a replica may be lost without losing the last copy of
// anything, and there is somebody to take over.
var (
	oneToSpare = Needs{InSync: 2}
	takeover   = Needs{InSync: 2, Standby: true}
	twoToSpare = Needs{InSync: 3, Standby: true}
	// toLetGo: an operator may not take out one of the last two.
	toLetGo = Needs{InSync: 3}
)

// Faults returns all faults, those for durable shards only if the shard is.
func Faults(durable bool) []Fault {
	faults := []Fault{
		{"replica-killed", oneToSpare, onReplica(Node.Kill, nil), 0},
		{"replica-stopped", oneToSpare, onReplica(Node.Stop, Node.Continue), 400 * time.Millisecond},
		{"two-replicas-killed", twoToSpare, twoReplicas, 0},
		{"control-plane-killed", Needs{InSync: 1}, onActive(Node.Kill, nil), 0},
		{"control-plane-stopped", takeover, onActive(Node.Stop, Node.Continue), 600 * time.Millisecond},
		{"standby-killed", takeover, onStandby(Node.Kill, nil), 0},
		{"standby-stopped", takeover, onStandby(Node.Stop, Node.Continue), 600 * time.Millisecond},
		{"coordinator-host-lost", takeover, hostLost, 500 * time.Millisecond},
		{"coordinator-and-replica-lost", twoToSpare, hostAndReplicaLost, 500 * time.Millisecond},
		{"program-detached", takeover, func(ctx context.Context, s Shard, _ *rand.Rand) (func(context.Context) error, error) {
			return nil, s.Detach(ctx)
		}, 0},
		{"program-replaced", takeover, func(ctx context.Context, s Shard, _ *rand.Rand) (func(context.Context) error, error) {
			return nil, s.Replace(ctx)
		}, 0},
		{"etcd-stopped", Needs{InSync: 1}, etcdStopped, 500 * time.Millisecond},
		{"etcd-stopped-replica-killed", takeover, etcdStoppedReplicaKilled, 400 * time.Millisecond},
		{"replica-removed", toLetGo, admin("remove"), 0},
		{"replica-drained", toLetGo, admin("drain"), 0},
		{"replica-replaced", toLetGo, admin("replace"), 0},
		{"planned-failover", takeover, admin("failover"), 0},
		{"replica-clock-jumped", oneToSpare, func(_ context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
			return nil, jump(pick(s.Replicas(), random), random)
		}, 0},
		{"coordinator-clock-jumped", takeover, func(_ context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
			return nil, jump(s.Active(), random)
		}, 0},
		{"old-packets-in-flight", takeover, oldPackets, 600 * time.Millisecond},
	}
	faults = append(faults, partitions()...)
	faults = append(faults, bursts()...)
	faults = append(faults, atPoints(durable)...)
	if durable {
		faults = append(faults, onDisks()...)
	}
	return faults
}

// onReplica, onActive and onStandby do something to a node, and undo it if undo
// is not nil.
func onReplica(do, undo func(Node) error) injection {
	return func(_ context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
		return doTo(pick(s.Replicas(), random), do, undo)
	}
}

func onActive(do, undo func(Node) error) injection {
	return func(_ context.Context, s Shard, _ *rand.Rand) (func(context.Context) error, error) {
		return doTo(s.Active(), do, undo)
	}
}

func onStandby(do, undo func(Node) error) injection {
	return func(_ context.Context, s Shard, _ *rand.Rand) (func(context.Context) error, error) {
		return doTo(s.Standby(), do, undo)
	}
}

type injection = func(context.Context, Shard, *rand.Rand) (func(context.Context) error, error)

func doTo(n Node, do, undo func(Node) error) (func(context.Context) error, error) {
	if err := do(n); err != nil || undo == nil {
		return nil, err
	}
	return func(context.Context) error { return undo(n) }, nil
}

func pick(nodes []Node, random *rand.Rand) Node { return nodes[random.IntN(len(nodes))] }

func twoReplicas(_ context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
	nodes := s.Replicas()
	order := random.Perm(len(nodes))
	return nil, errors.Join(nodes[order[0]].Kill(), nodes[order[1]].Kill())
}

// lose has a host disappear: its process is gone, and no frame passes its link.
func lose(n Node) (mend func(context.Context) error, err error) {
	mend, err = isolate(n, fabric.FromNode, fabric.ToNode)
	return mend, errors.Join(err, n.Kill())
}

// isolate cuts directions of a node's link.
func isolate(n Node, directions ...fabric.Direction) (mend func(context.Context) error, err error) {
	set := func(cut bool) error {
		var problems []error
		for _, d := range directions {
			problems = append(problems, n.Cut(d, cut))
		}
		return errors.Join(problems...)
	}
	return func(context.Context) error { return set(false) }, set(true)
}

func hostLost(ctx context.Context, s Shard, _ *rand.Rand) (func(context.Context) error, error) {
	active := s.Active()
	err := s.Detach(ctx)
	mend, lost := lose(active)
	return mend, errors.Join(err, lost)
}

func hostAndReplicaLost(ctx context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
	mend, err := hostLost(ctx, s, random)
	return mend, errors.Join(err, pick(s.Replicas(), random).Kill())
}

func etcdStopped(ctx context.Context, s Shard, _ *rand.Rand) (func(context.Context) error, error) {
	return func(ctx context.Context) error { return s.Etcd(ctx, true) }, s.Etcd(ctx, false)
}

func etcdStoppedReplicaKilled(ctx context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
	mend, err := etcdStopped(ctx, s, random)
	return mend, errors.Join(err, pick(s.Replicas(), random).Kill())
}

func admin(what string) injection {
	return func(ctx context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
		if what == "failover" {
			return nil, s.Admin(ctx, what, nil)
		}
		return nil, s.Admin(ctx, what, pick(s.Replicas(), random))
	}
}

// maxAhead is how far a clock may jump, either way.
const maxAhead = 30 * 24 * time.Hour

// jump replaces a process by one whose monotonic clock is another, and agrees with
// neither that of its predecessor nor that of the programs in the kernel.
func jump(n Node, random *rand.Rand) error {
	n.SetClock(time.Duration(random.Int64N(int64(maxAhead))))
	return n.Kill()
}

// oldPackets has the coordinator replaced while what it sent is held back, so
// that it arrives when another one serves.
func oldPackets(ctx context.Context, s Shard, random *rand.Rand) (func(context.Context) error, error) {
	active := s.Active()
	held := fabric.Faults{Delay: 0.5, DelayMin: 300 * time.Millisecond, DelayMax: 600 * time.Millisecond, Duplicate: 0.3}
	mend, err := disturb([]Node{active}, held)
	sleep(ctx, 50*time.Millisecond)
	return mend, errors.Join(err, s.Admin(ctx, "failover", nil))
}
