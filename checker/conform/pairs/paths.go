// SPDX-License-Identifier: Apache-2.0

package pairs

import (
	"errors"
	"fmt"
	"time"

	"dalio/bpf"
	"dalio/protocol"
	"dalio/spec/tla"
)

// graph has the states of a model, and the pairs that change them.
type graph struct {
	symmetry *symmetry
	nodes    []node
	byForm   map[string]int
}

type node struct {
	state tla.Record
	edges []edge
}

type edge struct {
	packet  int
	allowed tla.Set
}

func (g *graph) add(state tla.Record, results tla.Tuple) {
	n := node{state: state}
	for i, r := range results {
		for _, result := range r.(tla.Set) {
			if changes(result) {
				n.edges = append(n.edges, edge{i, r.(tla.Set)})
				break
			}
		}
	}
	form, _ := g.symmetry.form(state)
	g.byForm[form] = len(g.nodes)
	g.nodes = append(g.nodes, n)
}

// find returns the node of a state, and a renaming that makes the state the node's.
func (g *graph) find(state tla.Record) (node int, by map[tla.Model]tla.Model, found bool) {
	form, mine := g.symmetry.form(state)
	if node, found = g.byForm[form]; !found {
		return 0, nil, false
	}
	_, its := g.symmetry.form(g.nodes[node].state)
	back := map[tla.Model]tla.Model{}
	for old, name := range g.symmetry.renamings[its[0]] {
		back[name] = old
	}
	by = map[tla.Model]tla.Model{}
	for old, name := range g.symmetry.renamings[mine[0]] {
		by[old] = back[name]
	}
	return node, by, true
}

// visit is how a node was reached, under the names that the replicas and slots of
// its state then have.
type visit struct {
	node    int
	naming  naming
	from    *visit
	by      step
	calls   int // of the control plane, on the way
	packets int
}

// step is a frame, or else something that the control plane does.
type step struct {
	frame []byte
	do    func(*bpf.Rig) error
}

// walker reaches the states of a model from its first one. It writes no map: an
// epoch is opened, frames come, and the control plane makes its calls.
type walker struct {
	graph   *graph
	packets []tla.Record
	rig     *bpf.Rig
	lease   uint64
	reached map[int]*visit
	queue   []*visit
	counts  Counts
}

// walk reaches what can be reached by packets, then goes on from there with one call
// of the control plane, and so on.
func (w *walker) walk(start naming) error {
	first := &visit{node: 0, naming: start}
	if err := w.replay(first); err != nil {
		return err
	}
	if err := w.compare(first.naming, w.graph.nodes[0].state); err != nil {
		return fmt.Errorf("an epoch was opened: %w", err)
	}
	w.reach(first)
	calls := 0
	var all []*visit
	for len(w.queue) > 0 || calls < len(all) {
		if len(w.queue) == 0 {
			if err := w.control(all[calls]); err != nil {
				return err
			}
			calls++
			continue
		}
		v := w.queue[0]
		w.queue, all = w.queue[1:], append(all, v)
		for _, e := range w.graph.nodes[v.node].edges {
			if err := w.follow(v, e); err != nil {
				return fmt.Errorf("after %d packets and %d calls: %w\nstate   %v\npacket  %v\nallowed %v\nwith replicas %v and slots %v",
					v.packets, v.calls, err, w.graph.nodes[v.node].state, w.packets[e.packet], e.allowed, v.naming.index, v.naming.slot)
			}
		}
	}
	return nil
}

func (w *walker) reach(v *visit) {
	if w.reached[v.node] != nil {
		return
	}
	w.reached[v.node] = v
	w.queue = append(w.queue, v)
	w.counts.Reached++
	if v.calls == 0 {
		w.counts.ByPackets++
	}
}

// replay goes the way to a node.
func (w *walker) replay(v *visit) error {
	if v.from == nil {
		return w.open(v.naming)
	}
	if err := w.replay(v.from); err != nil {
		return err
	}
	if v.by.do != nil {
		return v.by.do(w.rig)
	}
	_, err := w.rig.Handle(v.by.frame)
	return err
}

// open opens the epoch that the first state is of.
func (w *walker) open(n naming) error {
	first := n.coordinator(w.graph.nodes[0].state, w.lease)
	e := bpf.Epoch{Number: first.Epoch, MinMembers: first.MinMembers, Answered: theNow * unit}
	for _, m := range first.Known {
		if m.ID != 0 {
			e.Members = append(e.Members, m)
		}
	}
	for _, s := range first.Sessions {
		if s.Owner != 0 {
			e.Recovered = append(e.Recovered, protocol.SessionRecord{Session: s.Owner, Request: s.Request, Version: s.Settled,
				Op: s.Op, KeyHash: s.KeyHash, Digest: s.Digest})
		}
	}
	return errors.Join(w.rig.Reset(), w.rig.SetClock(theNow*unit), w.rig.Open(e))
}

// follow runs the packet of an edge at the end of the way to a node.
func (w *walker) follow(v *visit, e edge) error {
	if err := w.replay(v); err != nil {
		return err
	}
	w.counts.Edges++
	state, packet := w.graph.nodes[v.node].state, w.packets[e.packet]
	frame := v.naming.frame(packet)
	h, err := w.rig.Handle(frame)
	if err != nil {
		return err
	}
	after, err := w.state()
	if err != nil {
		return err
	}
	got := outcome{verdict: h.Verdict, reason: h.Reason, frames: h.Frames, state: after}
	c, difference := v.naming.coordinator(state, w.lease), "nothing is allowed"
	for _, result := range e.allowed {
		r := result.(tla.Record)
		want := v.naming.outcome(c, state, packet, r)
		forget(want.state)
		if difference = got.differ(want); difference == "" {
			w.arrive(v, changed(state, r.Get("state")), v.naming, step{frame: frame})
			return nil
		}
	}
	return fmt.Errorf("the bytecode differs from the specification: %s", difference)
}

// arrive notes that a step leads to a state, if that is one of the model's.
func (w *walker) arrive(v *visit, state tla.Record, n naming, by step) bool {
	node, renaming, found := w.graph.find(state)
	if !found {
		return false
	}
	next := &visit{node: node, naming: n.renamed(renaming), from: v, by: by, calls: v.calls, packets: v.packets}
	if by.do != nil {
		next.calls++
	} else {
		next.packets++
	}
	w.reach(next)
	return true
}

// state returns the bytecode's state, with its clocks put back to where the
// specification's stand.
func (w *walker) state() (*protocol.Coordinator, error) {
	c, err := w.rig.State()
	if err != nil {
		return nil, err
	}
	for i := range c.Sessions {
		if e := &c.Sessions[i]; e.Owner != 0 {
			e.Tick = theTick - min(c.Tick-e.Tick, ttl)
		}
	}
	for i, at := range c.Answered {
		c.Answered[i] = putBack(at, c.Now)
	}
	c.Held = putBack(c.Held, c.Now)
	c.Tick, c.Now = theTick, theNow*unit
	forget(c)
	return c, nil
}

// putBack returns when something was, by the clock of the specification: long ago is 0.
func putBack(at, now uint64) uint64 {
	if age := now - at; age < theNow*unit {
		return theNow*unit - age
	}
	return 0
}

// forget forgets when it was that those were heard of who are known no more: it is
// written anew when somebody joins in their place.
func forget(c *protocol.Coordinator) {
	for i := range c.Answered {
		if c.Known[i].ID == 0 {
			c.Answered[i] = 0
		}
	}
}

// compare compares the bytecode's state with one of the specification.
func (w *walker) compare(n naming, state tla.Record) error {
	got, err := w.state()
	if err != nil {
		return err
	}
	want := n.coordinator(state, w.lease)
	forget(want)
	if difference := differentStates(got, want); difference != "" {
		return fmt.Errorf("the bytecode's state is not that of the specification: %s\nstate %v", difference, state)
	}
	return nil
}

// control tries what the control plane may do in a node, where that leads to a node
// that was not reached yet.
func (w *walker) control(v *visit) error {
	state := w.graph.nodes[v.node].state
	try := func(to tla.Record, n naming, do func(*bpf.Rig) error) error {
		if node, _, found := w.graph.find(to); !found || w.reached[node] != nil {
			return nil
		}
		if err := w.replay(v); err != nil {
			return err
		}
		if err := do(w.rig); err != nil {
			return err
		}
		if err := w.compare(n, to); err != nil {
			return err
		}
		w.arrive(v, to, n, step{do: do})
		return nil
	}
	if state.Get("epoch") == tla.Int(0) {
		return nil
	}
	err := try(idle(state), v.naming, (*bpf.Rig).Tick)
	if w.lease != 0 {
		later := v.naming
		later.shift += unit
		now := time.Duration(theNow*unit + later.shift)
		err = errors.Join(err, try(older(state), later, func(r *bpf.Rig) error { return r.SetClock(now) }))
	}
	err = errors.Join(err, try(shut(state), v.naming, (*bpf.Rig).Shut))
	for _, to := range memberships(state) {
		err = errors.Join(err, try(to, v.naming, w.change(v.naming, state, to)))
	}
	if err != nil {
		return fmt.Errorf("a call of the control plane: %w\nstate %v", err, state)
	}
	return nil
}

// change makes the members of one state those of another. A member that is to join
// again is taken out before.
func (w *walker) change(n naming, from, to tla.Record) func(*bpf.Rig) error {
	before, after := n.coordinator(from, w.lease), n.coordinator(to, w.lease)
	var stay, all []protocol.Member
	for i, m := range after.Known {
		if m.ID == 0 {
			continue
		}
		all = append(all, m)
		if before.Known[i] == m {
			stay = append(stay, m)
		}
	}
	var stayers uint16
	for _, m := range stay {
		stayers |= 1 << m.ID.Index()
	}
	return func(r *bpf.Rig) error {
		return errors.Join(r.SetServing(before.Serving&stayers), r.SetMembers(stay...), r.SetMembers(all...), r.SetServing(after.Serving))
	}
}
