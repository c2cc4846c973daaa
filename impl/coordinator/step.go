// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"slices"

	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/impl/internal/failpoint"
	"dalio/protocol"
)

// points are where a control plane may be made to fail: after each step.
var points = func() map[membership.Kind]*failpoint.Point {
	all := map[membership.Kind]*failpoint.Point{}
	for _, k := range membership.Kinds() {
		all[k] = failpoint.New("coordinator." + string(k))
	}
	return all
}()

var (
	afterCaughtUp = failpoint.New("coordinator.caught-up")
	afterAdopted  = failpoint.New("coordinator.adopted")
	afterSettled  = failpoint.New("coordinator.settled")
)

// do takes the step. What changes a replica's state is complete only when the
// state is known again: nothing may be named by what it was.
func (m *manager) do(ctx context.Context, a *membership.Action, base config.Revision, sessions uint32) (fenced []protocol.ReplicaID, err error) {
	do := func() error {
		fenced, err = m.executor.Do(ctx, a, base, sessions)
		return err
	}
	if canWait(a.Kind) {
		return nil, m.follow(a.Members[0].Address).ask(ctx, do)
	}
	if err := do(); err != nil || a.Kind != membership.Fence && a.Kind != membership.OpenMembers {
		return fenced, err
	}
	return m.refresh(ctx, a, fenced), nil
}

// refresh has the states of the members known that were fenced or opened: whether
// one has come back with its disk decides what is recovered. One of which it can't
// be known counts as not fenced.
func (m *manager) refresh(ctx context.Context, a *membership.Action, fenced []protocol.ReplicaID) []protocol.ReplicaID {
	known := make([]bool, len(a.Members))
	var all []func()
	for i, member := range a.Members {
		if a.Kind == membership.OpenMembers || slices.Contains(fenced, member.ID) {
			all = append(all, func() { known[i] = m.follow(member.Address).ask(ctx, func() error { return nil }) == nil })
		}
	}
	m.options.together(all...)
	for i, member := range a.Members {
		if !known[i] {
			fenced = slices.DeleteFunc(fenced, func(id protocol.ReplicaID) bool { return id == member.ID })
		}
	}
	return fenced
}

// canWait says whether a step makes the shard whole again, and so may be put off
// for one that keeps it going.
func canWait(k membership.Kind) bool {
	return slices.Contains([]membership.Kind{membership.Assign, membership.CatchUpOn, membership.Expel}, k)
}
