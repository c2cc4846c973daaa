// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"context"
	"fmt"
	"time"

	"dalio/checker/conform/edges"
	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/protocol"
	"dalio/spec/tla"
)

// controlSteps are those of the control plane of coordinator x: whatever the code
// decides, for all that it may know and want.
func (t *turn) controlSteps(x tla.Model) {
	taken := map[string]bool{}
	for _, s := range t.sights(x) {
		p := &plan{turn: t, x: x, sight: s, manager: t.manager(x), view: t.view(x, s)}
		if s.fresh {
			p.manager = membership.NewManager()
		}
		joining := len(p.manager.Joining())
		a := t.decide(p.manager, &p.view)
		// To forget who was joining, because it says nothing, is what CrashControl does.
		forgot := len(p.manager.Joining()) < joining
		key := fmt.Sprint(a.Kind, a.Epoch, a.Members, a.Serving, a.Config.Coordinator, a.Config.Members, s.epoch, s.now)
		if !forgot && (!s.fresh || a.Kind == membership.TakeEpoch) && !taken[key] {
			taken[key] = true
			p.take(a)
		}
	}
	t.housekeeping(x)
	if control := at(t.from.Rest, "control", x).(tla.Record); control.Get("joining") != none {
		t.add(put(t.from.Rest, "control", x, t.idle(none)), nil, "CrashControl", x)
	}
}

// idle is what a control plane remembers that does nothing but let somebody join.
func (n *names) idle(joining tla.Value) tla.Record {
	return fields("taking", tla.Int(0), "phase", tla.String("none"), "from", tla.NewSet(), "installed", tla.NewSet(), "joining", joining,
		"recovered", fields("records", n.tellRecords(nil), "sessions", n.tellSessionRecords(nil)))
}

// manager makes the manager of x, by having it succeed with what it must have done.
func (t *turn) manager(x tla.Model) *membership.Manager {
	control := at(t.from.Rest, "control", x).(tla.Record)
	m := membership.NewManager()
	did := func(a membership.Action, fenced ...protocol.ReplicaID) { m.Succeeded(&a, 0, fenced...) }
	did(membership.Action{Kind: membership.Confirm})
	if id := t.memberID(control.Get("joining")); id != 0 {
		joiner := []config.Member{{ID: id, Address: controlAddress(id.Index())}}
		did(membership.Action{Kind: membership.Mint, Members: joiner})
		did(membership.Action{Kind: membership.Assign, Members: joiner})
	}
	phase := control.Get("phase")
	if phase == tla.String("none") {
		return m
	}
	taking := int(control.Get("taking").(tla.Int))
	did(membership.Action{Kind: membership.TakeEpoch, Config: config.Config{Epoch: protocol.Epoch(taking)}})
	for _, member := range t.config(taking, 0).Members {
		if r := t.replicaAt(member); r.ID == member.ID && int(r.Epoch) == taking {
			did(membership.Action{Kind: membership.Fence}, member.ID)
		}
	}
	if phase == tla.String("fence") {
		return m
	}
	from := t.members(control.Get("from"))
	did(membership.Action{Kind: membership.Collect, Members: from})
	if len(control.Get("installed").(tla.Set)) == len(from) {
		did(membership.Action{Kind: membership.Install})
	}
	if phase == tla.String("open") {
		did(membership.Action{Kind: membership.CutMembers})
		if t.allOpen(from, taking) {
			did(membership.Action{Kind: membership.OpenMembers})
		}
	}
	return m
}

func (t *turn) replicaAt(m config.Member) *replica {
	return t.replica(t.nodes[m.ID.Index()])
}

func (t *turn) allOpen(members []config.Member, epoch int) bool {
	for _, m := range members {
		if r := t.replicaAt(m); r.ID != m.ID || int(r.Epoch) != epoch || r.Fenced {
			return false
		}
	}
	return true
}

func (t *turn) members(ids tla.Value) (all []config.Member) {
	for _, id := range ids.(tla.Set) {
		member := t.memberID(id)
		all = append(all, config.Member{ID: member, Address: controlAddress(member.Index()), InSync: true})
	}
	return all
}

// plan is one decision of a control plane.
type plan struct {
	*turn
	x       tla.Model
	sight   sight
	manager *membership.Manager
	view    membership.View
}

// world makes a world in which steps have their effects.
func (p *plan) world() *world {
	w := &world{turn: p.turn, x: p.x, kernel: p.kernel(p.x), replicas: map[int]*replica{},
		config: p.config(len(p.from.Rest.Get("configs").(tla.Tuple)), p.sight.first), base: config.Revision(p.sight.epoch)}
	for i, node := range p.nodes {
		w.replicas[i] = p.replica(node)
	}
	return w
}

// execute has the executor take a step in a world.
func (w *world) execute(a membership.Action) (fenced []protocol.ReplicaID, err error) {
	if w.executor == nil {
		w.executor = &membership.Executor{Plane: plane{w}, Replicas: asked{w}, Store: store{w}, Together: membership.InTurn, Now: func() time.Duration { return 0 }}
	}
	return w.executor.Do(context.Background(), &a, w.base, w.config.Sessions)
}

// do has a manager's step taken, and says whether that succeeded.
func (w *world) do(m *membership.Manager, a membership.Action) bool {
	fenced, err := w.execute(a)
	if err != nil {
		m.Failed(&a)
		return false
	}
	m.Succeeded(&a, 0, fenced...)
	return true
}

// take takes a step, and notes what the specification calls it.
func (p *plan) take(a membership.Action) {
	w := p.world()
	switch a.Kind {
	case membership.Wait, membership.Confirm, membership.CloseKernel, membership.CatchUpOn, membership.LeastSize, membership.Expel, membership.Replace:
		// Nothing that the specification knows of.
	case membership.Mint:
		if !w.do(p.manager, a) {
			return
		}
		p.view.Config = w.config
		w.base = w.revision()
		next := p.decide(p.manager, &p.view)
		if next.Kind != membership.Assign {
			edges.Fail("after %s comes %s", a.Kind, next.Kind)
		}
		p.assign(w, next)
	case membership.Fence, membership.Install, membership.OpenMembers:
		for _, m := range a.Members {
			p.one(a, m)
		}
		p.waitForLease(a)
	case membership.Collect, membership.OpenKernel, membership.TakeEpoch, membership.CutMembers:
		p.takeOver(w, a)
	default:
		if w.do(p.manager, a) {
			p.changed(w, a)
		}
	}
}

// assign gives a node its new id. It forgets whom it was suspected to be.
func (p *plan) assign(w *world, a membership.Action) {
	id := p.member(a.Members[0].ID)
	node := p.nodes[a.Members[0].ID.Index()]
	if int(a.Members[0].ID)/protocol.MaxMembers > p.numbers["LastId"] || !w.do(p.manager, a) {
		return
	}
	// The floor of a member that joins is the epoch's start, which says no more
	// than none: it is not in sync, and what it copies is of one that is.
	w.replicas[a.Members[0].ID.Index()].Floor = protocol.Version{}
	rest := p.blank(w.tell(), node)
	faults := rest.Get("faults").(tla.Record)
	var suspects tla.Set
	for _, s := range faults.Get("suspects").(tla.Set) {
		if !tla.Equal(s, id) {
			suspects = append(suspects, s)
		}
	}
	configs := rest.Get("configs").(tla.Tuple)
	last := configs[len(configs)-1].(tla.Record)
	minted := tla.Except(last.Get("minted"), node, tla.Int(a.Members[0].ID/protocol.MaxMembers))
	configs = append(append(tla.Tuple(nil), configs[:len(configs)-1]...), last.With("minted", minted))
	rest = rest.With("configs", configs).With("faults", faults.With("suspects", suspects))
	p.add(put(rest, "control", p.x, p.idle(id)), nil, "Assign", p.x, node)
}

// changed notes a step that changes a set: by one member, whose step it is.
func (p *plan) changed(w *world, a membership.Action) {
	rest := w.tell()
	before, after := p.sets(p.from.Rest, a.Kind), p.sets(rest, a.Kind)
	var who []tla.Value
	for _, id := range append(append(tla.Set(nil), before...), after...) {
		if before.Has(id) != after.Has(id) {
			who = append(who, id)
		}
	}
	if len(who) != 1 {
		edges.Fail("%s changes %v to %v", a.Kind, before, after)
	}
	faults := rest.Get("faults").(tla.Record)
	suspects := faults.Get("suspects").(tla.Set)
	names := map[membership.Kind]string{membership.ShrinkServing: "ShrinkServing", membership.ShrinkConfig: "ShrinkConfig", membership.ShrinkMask: "ShrinkMask",
		membership.GrowMask: "GrowMask", membership.GrowConfig: "GrowConfig", membership.EnterSync: "EnterSync", membership.GrowServe: "GrowServe"}
	arguments := []tla.Value{p.x, who[0]}
	switch a.Kind {
	case membership.GrowServe:
		if suspects.Has(who[0]) {
			return // A suspicion is not taken back here.
		}
	case membership.ShrinkServing:
		rest = rest.With("faults", faults.With("suspects", suspects.Union(tla.NewSet(who...))).With("removals", faults.Get("removals").(tla.Int)-1))
	case membership.GrowMask:
		arguments = arguments[:1]
	case membership.GrowConfig:
		arguments = arguments[:1]
		control := at(rest, "control", p.x).(tla.Record)
		if len(p.manager.Joining()) > 0 {
			edges.Fail("somebody is still joining after %s", a.Kind)
		}
		rest = put(rest, "control", p.x, control.With("joining", none))
	}
	p.add(rest, nil, names[a.Kind], arguments...)
}

// sets returns the set that a kind of step changes.
func (p *plan) sets(rest tla.Record, kind membership.Kind) tla.Set {
	kernel := at(rest, "kernel", p.x).(tla.Record)
	switch kind {
	case membership.ShrinkServing, membership.GrowServe:
		return kernel.Get("serving").(tla.Set)
	case membership.ShrinkMask, membership.GrowMask:
		return kernel.Get("mask").(tla.Set)
	case membership.EnterSync:
		return current(rest).Get("inSync").(tla.Set)
	}
	return current(rest).Get("members").(tla.Set)
}
