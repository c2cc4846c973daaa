// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"dalio/checker/conform/edges"
	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/protocol"
	"dalio/spec/tla"
)

// one has a step that is for several members reach one of them, and notes it.
// Those that it has reached before would change nothing.
func (p *plan) one(a membership.Action, m config.Member) {
	w := p.world()
	control := at(p.from.Rest, "control", p.x).(tla.Record)
	id := p.member(m.ID)
	action, who := "Fence", tla.Value(p.nodes[m.ID.Index()])
	switch a.Kind {
	case membership.Install:
		if control.Get("installed").(tla.Set).Has(id) {
			return
		}
		// What had been collected: of this member, what it holds, and of the others
		// together all that is recovered.
		w.recovered, w.own = control.Get("recovered").(tla.Record), m.ID
		w.collectAgain(a.Members)
		action, who = "Install", id
		control = control.With("installed", control.Get("installed").(tla.Set).Union(tla.NewSet(id)))
	case membership.OpenMembers:
		action, who = "Open", id
	}
	w.only = m.ID
	if !w.do(p.manager, a) {
		return
	}
	p.add(put(w.tell(), "control", p.x, control), nil, action, p.x, who)
}

// collectAgain has the executor know what it has collected.
func (w *world) collectAgain(members []config.Member) {
	if _, err := w.execute(membership.Action{Kind: membership.Collect, Members: members}); err != nil {
		edges.Fail("what was recovered can't be collected: %v", err)
	}
}

// waitForLease notes that the time of the lease has passed since the members were
// fenced, if the code waits for that: it would go on now, and would not before.
func (p *plan) waitForLease(a membership.Action) {
	epoch := len(p.from.Rest.Get("configs").(tla.Tuple))
	silent := append(tla.Tuple(nil), p.from.Rest.Get("silent").(tla.Tuple)...)
	if a.Kind != membership.Fence || p.sight.now != afterGrace || len(silent[epoch-1].(tla.Set)) > 0 {
		return
	}
	later := p.view
	later.Now = afterLease
	if p.decide(p.manager, &later).Kind != membership.Collect {
		return
	}
	var fenced []tla.Value
	for _, m := range p.view.Config.Members {
		if r := p.replicaAt(m); r.ID == m.ID && int(r.Epoch) == epoch {
			fenced = append(fenced, p.member(m.ID))
		}
	}
	silent[epoch-1] = tla.NewSet(fenced...)
	p.add(p.from.Rest.With("silent", silent), nil, "WaitForLease", p.x)
}

// takeOver notes a step of a taking over that is for all.
func (p *plan) takeOver(w *world, a membership.Action) {
	epoch := len(p.from.Rest.Get("configs").(tla.Tuple))
	control := at(p.from.Rest, "control", p.x).(tla.Record)
	switch a.Kind {
	case membership.TakeEpoch:
		p.takeEpoch(w, a)
	case membership.Collect:
		// Before the lease has run out by the specification's account it is too early.
		if p.sight.now == afterLease && len(p.from.Rest.Get("silent").(tla.Tuple)[epoch-1].(tla.Set)) == 0 {
			return
		}
		if !w.do(p.manager, a) {
			return
		}
		var from []tla.Value
		for _, m := range a.Members {
			from = append(from, p.member(m.ID))
		}
		control = control.With("phase", tla.String("install")).With("from", tla.NewSet(from...)).With("recovered", w.union())
		p.add(put(w.tell(), "control", p.x, control), nil, "Collect", p.x)
	case membership.CutMembers:
		if w.do(p.manager, a) {
			p.add(put(w.tell(), "control", p.x, control.With("phase", tla.String("open"))), nil, "CutMembers", p.x)
		}
	case membership.OpenKernel:
		w.recovered = control.Get("recovered").(tla.Record)
		w.collectAgain(a.Members)
		if w.do(p.manager, a) {
			p.add(put(w.tell(), "control", p.x, p.idle(none)), nil, "OpenKernel", p.x)
		}
	}
}

// takeEpoch notes that an epoch was taken. Others forget what they were about to do
// with the one before, but for whom they let join.
func (p *plan) takeEpoch(w *world, a membership.Action) {
	epoch := len(p.from.Rest.Get("configs").(tla.Tuple))
	if epoch == p.numbers["LastEpoch"] || !w.do(p.manager, a) {
		return
	}
	rest := p.from.Rest
	configs := append(tla.Tuple(nil), rest.Get("configs").(tla.Tuple)...)
	rest = rest.With("configs", append(configs, w.tellConfig(configs[epoch-1].(tla.Record))))
	for _, y := range p.coordinators {
		joining := at(rest, "control", y).(tla.Record).Get("joining")
		if y == p.x {
			taking := p.idle(none).With("taking", tla.Int(epoch+1)).With("phase", tla.String("fence"))
			rest = put(rest, "control", y, taking)
		} else {
			rest = put(rest, "control", y, p.idle(joining))
		}
		if !p.flags["Survives"] {
			rest = p.tellCoordinator(y, p.closedKernel(), p.from.Messages, rest)
		}
	}
	p.add(rest, nil, "TakeEpoch", p.x)
}

// housekeeping tells members what is settled, and up to where tombstones may go.
func (t *turn) housekeeping(x tla.Model) {
	kernel := t.kernel(x)
	if kernel.Epoch == 0 {
		return
	}
	settled := protocol.Version{Epoch: kernel.Epoch, Seq: kernel.NextSeq}
	for _, e := range kernel.Sessions {
		if e.Pending() {
			settled.Seq = min(settled.Seq, e.Seq-1)
		}
	}
	known := t.from.Rest.Get("configs").(tla.Tuple)[kernel.Epoch-1].(tla.Record).Get("inSync").(tla.Set)
	for i, node := range t.nodes {
		r := t.replica(node)
		if kernel.Members>>i&1 == 0 || kernel.Known[i].ID != r.ID {
			continue
		}
		if t.flags["Settles"] && r.Settle(kernel.Epoch, settled, protocol.Version{}) {
			t.add(t.tellReplica(node, r, t.from.Messages, t.from.Rest), nil, "Settle", x, node)
		}
		caughtUp := true
		for _, m := range t.knownSet(kernel, kernel.Members) {
			caughtUp = caughtUp && known.Has(m)
		}
		r = t.replica(node)
		if t.flags["Collects"] && caughtUp && r.Settle(kernel.Epoch, settled, settled) {
			// Where every key has a value the specification leaves the mark.
			if r.store.Collect(r.Collect); len(r.store) < len(t.keys) {
				t.add(t.tellReplica(node, r, t.from.Messages, t.from.Rest), nil, "CollectTombstones", x, node)
			}
		}
	}
}
