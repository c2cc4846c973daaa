// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"dalio/impl/config"
	"dalio/protocol"
)

// Plane is what steps do to the data plane. A change is complete when it returns:
// no frame is handled by what was before.
type Plane interface {
	// SetServing and SetMembers change the sets; Open makes them anew.
	SetServing(set uint16) error
	SetMembers(ctx context.Context, members []config.Member) error
	SetMinMembers(n int) error
	// Shut has the data plane drop every message.
	Shut() error
	// Open has it handle messages in a new epoch, with an empty table but for the
	// session records given. All members serve. Asked is when the members were asked
	// for something that all of them have answered since, by Executor.Now.
	Open(ctx context.Context, e protocol.Epoch, members []config.Member, sessions []protocol.SessionRecord, minMembers int, asked time.Duration) error
}

// Replicas is what steps ask of replicas. A request may arrive late, when another
// epoch or membership has begun: a replica refuses what is for an epoch before its
// own or for a member that it is not, and does at most once what it is asked twice.
type Replicas interface {
	Assign(ctx context.Context, m config.Member, e protocol.Epoch, sessions uint32) error
	Fence(ctx context.Context, m config.Member, e protocol.Epoch) error
	// Recent returns what is above since, or above the floor if that is lower or
	// since is nil.
	Recent(ctx context.Context, m config.Member, since *protocol.Version) (Recent, error)
	Install(ctx context.Context, m config.Member, e protocol.Epoch, r Recent) error
	Open(ctx context.Context, m config.Member, e protocol.Epoch) error
	CatchUp(ctx context.Context, m config.Member, e protocol.Epoch, source config.Member) error
	Expel(ctx context.Context, m config.Member) error
}

// Executor takes steps. Each is taken whole, or the error says that it may have
// been taken in part.
type Executor struct {
	Plane    Plane
	Replicas Replicas
	Store    config.Store
	// Now is the clock of the data plane's leases.
	Now func() time.Duration
	// Together runs functions, as a rule at the same time, and returns when all have
	// ended.
	Together func(...func())

	collected map[protocol.ReplicaID]Recent
	recovered union
	asked     time.Duration
}

// Do takes a step. Base is the revision of the configuration that the step was
// named for, sessions the size of the session table. Of a Fence, it returns the
// members that were fenced, and an error only if none was.
func (x *Executor) Do(ctx context.Context, a *Action, base config.Revision, sessions uint32) (fenced []protocol.ReplicaID, err error) {
	if a.ChangesConfig() {
		_, err = x.Store.Swap(ctx, base, a.Config)
		return nil, err
	}
	switch a.Kind {
	case ShrinkServing, GrowServe:
		err = x.Plane.SetServing(a.Serving)
	case ShrinkMask, GrowMask:
		err = x.Plane.SetMembers(ctx, a.Members)
	case LeastSize:
		err = x.Plane.SetMinMembers(a.MinMembers)
	case CloseKernel:
		err = x.Plane.Shut()
	case Assign:
		err = x.Replicas.Assign(ctx, a.Members[0], a.Epoch, sessions)
	case CatchUpOn:
		err = x.Replicas.CatchUp(ctx, a.Members[0], a.Epoch, a.Source)
	case Expel:
		err = x.Replicas.Expel(ctx, a.Members[0])
	case Fence:
		return x.fence(ctx, a)
	case Collect:
		err = x.collect(ctx, a)
	case Install:
		err = x.install(ctx, a)
	case OpenMembers:
		x.asked = x.Now()
		err = errors.Join(x.each(a.Members, func(m config.Member) error { return x.Replicas.Open(ctx, m, a.Epoch) })...)
	case OpenKernel:
		records := slices.SortedFunc(maps.Values(x.recovered.sessions), func(a, b protocol.SessionRecord) int {
			return a.Session.Slot() - b.Session.Slot()
		})
		err = x.Plane.Open(ctx, a.Epoch, a.Members, records, a.MinMembers, x.asked)
		x.collected, x.recovered = nil, union{}
	default:
		err = fmt.Errorf("there is no step %q", a.Kind)
	}
	return nil, err
}

func (x *Executor) fence(ctx context.Context, a *Action) (fenced []protocol.ReplicaID, err error) {
	for i, failure := range x.each(a.Members, func(m config.Member) error { return x.Replicas.Fence(ctx, m, a.Epoch) }) {
		if failure == nil {
			fenced = append(fenced, a.Members[i].ID)
		} else {
			err = errors.Join(err, failure)
		}
	}
	if len(fenced) > 0 {
		err = nil
	}
	return fenced, err
}

// collect reads what may differ between the members.
func (x *Executor) collect(ctx context.Context, a *Action) error {
	all := make([]Recent, len(a.Members))
	var mu sync.Mutex
	err := errors.Join(x.each(a.Members, func(m config.Member) error {
		r, err := x.Replicas.Recent(ctx, m, a.Since)
		mu.Lock()
		defer mu.Unlock()
		all[slices.Index(a.Members, m)] = r
		return err
	})...)
	if err != nil {
		return err
	}
	x.collected = map[protocol.ReplicaID]Recent{}
	for i, m := range a.Members {
		x.collected[m.ID] = all[i]
	}
	x.recovered = newestOf(all...)
	return nil
}

// install gives each member what it lacks. Until all have it, none is opened: a
// member that has been opened does not tell any more what was recent.
func (x *Executor) install(ctx context.Context, a *Action) error {
	return errors.Join(x.each(a.Members, func(m config.Member) error {
		return x.Replicas.Install(ctx, m, a.Epoch, x.recovered.lackedBy(x.collected[m.ID]))
	})...)
}

// each does something at every member, at the same time, and returns what came of
// it, in the order of the members.
func (x *Executor) each(members []config.Member, do func(config.Member) error) []error {
	problems := make([]error, len(members))
	var asked []func()
	for i, m := range members {
		asked = append(asked, func() { problems[i] = do(m) })
	}
	x.Together(asked...)
	return problems
}

// InTurn runs one function after the other, for those to whom the order matters.
func InTurn(all ...func()) {
	for _, f := range all {
		f()
	}
}
