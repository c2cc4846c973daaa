// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"dalio/impl/config"
	"dalio/protocol"
)

// simHost is a coordinator: a kernel that outlives its control plane.
type simHost struct {
	name    string
	world   *world
	kernel  simKernel
	wanted  string
	manager *Manager
	// sources has the members that joining ones were told to catch up from.
	sources  map[protocol.ReplicaID]config.Member
	suspects map[netip.AddrPort]bool
	// cut has the replicas whose control API the host can't reach.
	cut map[netip.AddrPort]bool

	step func() (struct{}, bool)
	stop func()
	// yield ends the step; it returns false when the control plane has died.
	yield func(struct{}) bool
	// pending is the request that is on its way, which may still arrive after a crash.
	pending *request
}

// request is what a control plane asks of somebody else; members are those that the
// configuration would have, if it is asked to change.
type request struct {
	effect  func()
	base    config.Revision
	members []config.Member
}

// died unwinds a control plane that has crashed.
type died struct{}

// boot starts a control plane that remembers nothing, on a kernel that it adopts.
func (h *simHost) boot() {
	h.step, h.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if r := recover(); r != nil && r != (died{}) {
				panic(r)
			}
		}()
		h.yield = yield
		h.control()
	})
}

// pause is a moment at which others act, or the control plane dies.
func (h *simHost) pause() {
	if !h.yield(struct{}{}) {
		panic(died{})
	}
}

// do has an effect happen after a pause: if the control plane dies meanwhile, the
// request may be on its way.
func (h *simHost) do(r request) {
	h.pending = &r
	h.pause()
	h.pending = nil
	r.effect()
}

func (h *simHost) crash() {
	h.world.note("%s: its control plane dies", h.name)
	ghost := h.pending
	h.stop()
	h.pending, h.step, h.manager, h.wanted = nil, nil, nil, ""
	if ghost != nil {
		h.world.ghosts = append(h.world.ghosts, *ghost)
	}
}

// control is the loop of a control plane.
func (h *simHost) control() {
	manager := NewManager()
	h.manager, h.sources = manager, map[protocol.ReplicaID]config.Member{}
	executor := &Executor{Plane: simPlane{h}, Replicas: simControl{h}, Store: simStore{h}, Together: InTurn,
		Now: func() time.Duration { return h.world.now }}
	known, revision := h.world.config, h.world.revision
	for {
		view := h.view(known)
		action := manager.Next(&view)
		if h.world.broken.step != nil {
			action = h.world.broken.step(manager, &view, action)
		}
		if action.Kind == Wait {
			h.pause()
			known, revision = h.world.config, h.world.revision
			continue
		}
		fenced, err := executor.Do(context.Background(), &action, revision, known.Sessions)
		h.world.note("%s %s %v %v: %v", h.name, action.Kind, action.Members, fenced, err)
		if err != nil {
			manager.Failed(&action)
		} else {
			h.world.stats[string(action.Kind)]++
			manager.Succeeded(&action, h.world.now, fenced...)
			if action.Kind == TakeEpoch {
				h.wanted = ""
			}
		}
		known, revision = h.world.config, h.world.revision
	}
}

func (h *simHost) view(known config.Config) View {
	h.kernel.Kernel.Busy = h.kernel.busy()
	v := View{Name: h.name, Now: h.world.now, Timing: Timing{Lease: simLease, Grace: simGrace, Founding: time.Second},
		Config: known, Kernel: h.kernel.Kernel, Replicas: map[netip.AddrPort]Replica{}, Wanted: h.wanted}
	for _, r := range h.world.replicas {
		told := r.told()
		told.Suspected = told.Suspected || h.suspects[r.address]
		if source := h.sources[r.id]; source.Address == told.CatchUp.From {
			told.CatchUp.Source = source.ID
		}
		v.Replicas[r.address] = told
	}
	return v
}

type simPlane struct{ h *simHost }

func (p simPlane) SetServing(set uint16) error {
	p.h.pause()
	p.h.kernel.Serving = set
	return nil
}

func (p simPlane) SetMembers(_ context.Context, members []config.Member) error {
	p.h.pause()
	p.h.kernel.setMembers(members)
	return nil
}

func (p simPlane) SetMinMembers(n int) error {
	p.h.kernel.MinMembers = n
	return nil
}

func (p simPlane) Shut() error {
	p.h.pause()
	p.h.kernel = simKernel{host: p.h, entries: make([]entry, len(p.h.world.lanes))}
	return nil
}

func (p simPlane) Open(_ context.Context, e protocol.Epoch, members []config.Member, sessions []protocol.SessionRecord, minMembers int, _ time.Duration) error {
	p.h.pause()
	p.h.kernel.open(e, members, sessions, minMembers)
	return nil
}

type simStore struct{ h *simHost }

func (s simStore) Load(context.Context) (config.Config, config.Revision, error) {
	return s.h.world.config, s.h.world.revision, nil
}

func (s simStore) Swap(_ context.Context, base config.Revision, next config.Config) (revision config.Revision, err error) {
	s.h.do(request{base: base, members: next.Members, effect: func() {
		w := s.h.world
		if err = config.ErrChanged; base != w.revision {
			return
		}
		if err = next.Check(); err != nil {
			w.fatalf("%s: %v", s.h.name, err)
		}
		w.config, w.revision = next, w.revision+1
		revision = w.revision
	}})
	return revision, err
}

type simControl struct{ h *simHost }

func (c simControl) ask(m config.Member, what func(*simReplica) error) (err error) {
	c.h.do(request{effect: func() {
		if err = errDown; !c.h.cut[m.Address] {
			err = what(c.h.world.replicaAt(m.Address))
		}
	}})
	return err
}

func (c simControl) Assign(_ context.Context, m config.Member, e protocol.Epoch, _ uint32) error {
	return c.ask(m, func(r *simReplica) error { return r.assign(m, e) })
}

func (c simControl) Fence(_ context.Context, m config.Member, e protocol.Epoch) error {
	return c.ask(m, func(r *simReplica) error { return r.fence(m, e) })
}

func (c simControl) Recent(_ context.Context, m config.Member, since *protocol.Version) (all Recent, err error) {
	err = c.ask(m, func(r *simReplica) error { all, err = r.recent(m, since); return err })
	return all, err
}

func (c simControl) Install(_ context.Context, m config.Member, e protocol.Epoch, what Recent) error {
	return c.ask(m, func(r *simReplica) error { return r.install(m, e, what) })
}

func (c simControl) Open(_ context.Context, m config.Member, e protocol.Epoch) error {
	return c.ask(m, func(r *simReplica) error { return r.openIn(m, e) })
}

func (c simControl) CatchUp(_ context.Context, m config.Member, e protocol.Epoch, source config.Member) error {
	c.h.sources[m.ID] = source
	return c.ask(m, func(r *simReplica) error { return r.beginCatchUp(m, e, source.Address) })
}

func (c simControl) Expel(_ context.Context, m config.Member) error {
	return c.ask(m, func(r *simReplica) error { return r.expel(m) })
}

// settle tells members how far everything is settled, as the owner's housekeeping
// does; which of them hear of it is up to the caller.
func (h *simHost) settle(hears func() bool) {
	k, c := &h.kernel, h.world.config
	if k.Epoch == 0 || c.Epoch != k.Epoch || c.Coordinator != h.name {
		return
	}
	floor := k.seq
	for i := range k.entries {
		if e := &k.entries[i]; e.pending && !h.world.broken.floor {
			floor = min(floor, e.version.Seq-1)
		}
	}
	for _, m := range c.Members {
		if r := h.world.replicaAt(m.Address); hears() {
			r.settle(m, k.Epoch, floor)
		}
	}
}
