// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"net/netip"
	"slices"
	"time"

	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/protocol"
	"dalio/spec/tla"
)

const (
	// Of a taking over: the lease outlasts the grace.
	grace      = 10 * time.Millisecond
	leaseTime  = 20 * time.Millisecond
	afterGrace = 15 * time.Millisecond
	afterLease = 25 * time.Millisecond
)

func controlAddress(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(nodeAddress(i).IP), protocol.Port)
}

// sight is what a control plane happens to know and want: the specification leaves
// it open.
type sight struct {
	epoch    int           // of the configuration that it has read
	now      time.Duration // since it took an epoch
	suspects tla.Set       // members
	known    bool          // replicas have told what they are
	wanted   bool          // it wants to own the epoch
	first    int           // the index of the node that is looked at first
	fresh    bool          // it has died, and remembers nothing
}

// config makes the configuration of an epoch. The next id to be minted is that of
// the node that is looked at first.
func (t *turn) config(epoch, first int) config.Config {
	r := t.from.Rest.Get("configs").(tla.Tuple)[epoch-1].(tla.Record)
	c := config.Config{Epoch: protocol.Epoch(epoch), Coordinator: string(r.Get("coordinator").(tla.Model)),
		MinMembers: t.numbers["MinMembers"], Sessions: uint32(len(t.slots)),
		Generation: t.generation(r, first)}
	for _, id := range r.Get("members").(tla.Set) {
		member := t.memberID(id)
		c = c.WithMember(config.Member{ID: member, Address: controlAddress(member.Index()), InSync: r.Get("inSync").(tla.Set).Has(id)})
	}
	for i := range t.nodes {
		c.Replicas = append(c.Replicas, config.Replica{Address: controlAddress((i + first) % len(t.nodes))})
	}
	return c
}

// generation returns the last one that was minted. The specification counts those
// of each node: if the node that is looked at first may get an id, it is as if its
// own were the last.
func (t *turn) generation(c tla.Record, first int) uint32 {
	minted := tla.Apply(c.Get("minted"), t.nodes[first]).(tla.Int)
	used := func(id tla.Value) bool { return int(t.memberID(id)) == int(minted)*protocol.MaxMembers+first }
	joining := false
	for _, x := range t.coordinators {
		joining = joining || used(at(t.from.Rest, "control", x).(tla.Record).Get("joining"))
	}
	if !joining && !slices.ContainsFunc(c.Get("members").(tla.Set), used) {
		return uint32(minted)
	}
	for _, p := range tla.Pairs(c.Get("minted")) {
		minted = max(minted, p.Value.(tla.Int))
	}
	return uint32(minted)
}

// view makes what the control plane of x sees.
func (t *turn) view(x tla.Model, s sight) membership.View {
	kernel := t.kernel(x)
	v := membership.View{Name: string(x), Now: s.now, Timing: membership.Timing{Lease: leaseTime, Grace: grace}, Config: t.config(s.epoch, s.first),
		Replicas: map[netip.AddrPort]membership.Replica{}}
	// A data plane of another epoch than the configuration's is closed before
	// anything else. The specification lets it go on, or do nothing any more.
	if kernel.Epoch != 0 && kernel.Epoch == v.Config.Epoch && v.Config.Coordinator == v.Name {
		v.Kernel = membership.Kernel{Epoch: kernel.Epoch, Members: kernel.Members, Serving: kernel.Serving, MinMembers: kernel.MinMembers,
			Busy: ^(uint16(1) << s.first)}
		for i, m := range kernel.Known {
			v.Kernel.IDs[i] = m.ID
		}
	}
	if s.wanted {
		v.Wanted = "told to"
	}
	for i, node := range t.nodes {
		r := at(t.from.Rest, "nodes", node).(tla.Record)
		v.Replicas[controlAddress(i)] = membership.Replica{Known: s.known, ID: t.memberID(r.Get("id")), Suspected: s.suspects.Has(r.Get("id")), CatchUp: t.progress(v.Config, r)}
	}
	return v
}

// progress is how far a member says that it has caught up, with somebody who is in
// sync.
func (t *turn) progress(c config.Config, r tla.Record) membership.CatchUp {
	i := slices.IndexFunc(c.Members, func(m config.Member) bool { return m.InSync && m.ID != t.memberID(r.Get("id")) })
	if i < 0 {
		return membership.CatchUp{State: membership.NotBegun}
	}
	p := membership.CatchUp{State: membership.Running, From: c.Members[i].Address, Source: c.Members[i].ID}
	if r.Get("catchup") == tla.String("done") {
		p.State = membership.Complete
	}
	return p
}

// sights returns what the control plane of x may know and want.
func (t *turn) sights(x tla.Model) (all []sight) {
	last := len(t.from.Rest.Get("configs").(tla.Tuple))
	epochs := []int{last}
	taking := at(t.from.Rest, "control", x).(tla.Record).Get("taking") == tla.Int(last)
	if e := int(at(t.from.Rest, "kernel", x).(tla.Record).Get("epoch").(tla.Int)); e != 0 && e != last && !taking {
		epochs = append(epochs, e) // It has not heard of the last one.
	}
	faults := t.from.Rest.Get("faults").(tla.Record)
	suspected := []tla.Set{nil, faults.Get("suspects").(tla.Set)}
	if faults.Get("removals").(tla.Int) > 0 {
		for _, epoch := range epochs {
			for _, m := range t.config(epoch, 0).Members {
				suspected = append(suspected, suspected[1].Union(tla.NewSet(t.member(m.ID))))
			}
		}
	}
	for _, epoch := range epochs {
		for _, suspects := range suspected {
			for first := range t.nodes {
				for _, known := range []bool{true, false} {
					all = append(all, sight{epoch: epoch, suspects: suspects, known: known, first: first})
				}
			}
		}
		for _, now := range []time.Duration{0, afterGrace, afterLease} {
			all = append(all, sight{epoch: epoch, now: now, known: true}, sight{epoch: epoch, now: now, known: true, wanted: true})
		}
		all = append(all, sight{epoch: epoch, wanted: true, fresh: true})
	}
	return all
}
