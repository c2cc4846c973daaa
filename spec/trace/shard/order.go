// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"fmt"
	"math"
	"slices"

	"dalio/spec/trace/graph"
	"dalio/traces/event"
)

// order puts the steps into one order. What is known is
//
//   - the order of each teller, and that of the configurations;
//   - that a control plane knows the configuration that it names, or has made it;
//   - that members are fenced, opened, given ids and have caught up in an epoch after it was taken, and
//     before the next one is, as they refuse it then;
//   - that they have done so before the control plane that has asked for it tells so, and
//     have caught up before they are in sync; and
//   - under which sets, and so between which steps, a data plane has answered.
func (r *Run) order() error {
	g := &known{Graph: graph.New(len(r.steps)), Run: r, configured: map[int64]int32{}, taken: map[uint32]int32{}, last: map[uint32]int32{}}
	g.byTeller()
	g.byConfiguration()
	g.byReplica()
	g.byView()
	g.timeConfigurations()
	places, stuck, ok := g.Sort(func(i int32) int64 { return r.steps[i].time })
	if !ok {
		s := r.steps[stuck]
		return fmt.Errorf("the events contradict each other: %s's event %d (%s) would have to come before itself", s.by, s.from, s.first().Event)
	}
	sorted := make([]*step, 0, len(r.steps))
	for _, i := range places {
		sorted = append(sorted, r.steps[i])
	}
	r.steps = sorted
	return nil
}

// known is what is known of the order of steps.
type known struct {
	*graph.Graph
	*Run
	// configured has the configurations by revision; taken and last have the first and
	// the last of each epoch.
	configured  map[int64]int32
	taken, last map[uint32]int32
	// bounds are those that come after a configuration, for its time.
	bounds []bound
}

type bound struct{ first, then int32 }

func (g *known) byTeller() {
	last := map[string]int32{}
	for i, s := range g.steps {
		if before, ok := last[s.by]; ok {
			g.Add(before, int32(i))
		}
		last[s.by] = int32(i)
		if e := s.first(); e.Event == event.Configure {
			g.configured[e.Membership.Revision] = int32(i)
			if _, ok := g.taken[e.Epoch]; !ok {
				g.taken[e.Epoch] = int32(i)
			}
			g.last[e.Epoch] = int32(i)
		}
	}
}

// add says that one step comes before another, which bounds the time of the first if
// that is a configuration.
func (g *known) add(first, then int32) {
	g.Add(first, then)
	g.bounds = append(g.bounds, bound{first, then})
}

func (g *known) byConfiguration() {
	for i, s := range g.steps {
		if kindOf(s.by) != control || s.first().Membership.Revision == 0 {
			continue
		}
		if made, ok := g.configured[s.first().Membership.Revision]; ok {
			g.add(made, int32(i))
		}
	}
}

// byReplica says what comes before and after what replicas tell of their membership.
func (g *known) byReplica() {
	fenced, opened, assigned := map[place]int32{}, map[place]int32{}, map[uint32]int32{}
	for i, s := range g.steps {
		e := s.first()
		if kindOf(s.by) != replica || e.Membership == nil {
			continue
		}
		if taken, ok := g.taken[e.Epoch]; ok {
			g.add(taken, int32(i))
		}
		if next, ok := g.taken[e.Epoch+1]; ok && s.action != "Expelled" && s.action != "Ignored" {
			g.Add(int32(i), next)
		}
		switch e.Event {
		case "Fenced":
			fenced[place{e.Replica, e.Epoch}] = int32(i)
		case "Opened":
			opened[place{e.Replica, e.Epoch}] = int32(i)
		case "Assigned":
			assigned[e.Replica] = int32(i)
		}
	}
	for i, s := range g.steps {
		e := s.first()
		if kindOf(s.by) != control {
			continue
		}
		for _, id := range e.Membership.IDs {
			of := place{id, e.Epoch}
			first, ok := int32(0), false
			switch e.Event {
			case "Fence":
				first, ok = fenced[of]
			case "OpenMembers":
				first, ok = opened[of]
			case "Assign", "GrowMask":
				first, ok = assigned[id]
			}
			if ok {
				g.Add(first, int32(i))
			}
		}
	}
	g.byCatchUp()
}

// byCatchUp: a member is one before it has caught up, and is in sync after that.
func (g *known) byCatchUp() {
	caught := map[uint32]int32{}
	for i, s := range g.steps {
		if s.action == "CaughtUp" {
			caught[s.first().Replica] = int32(i)
		}
	}
	members, inSync := map[uint32]bool{}, map[uint32]bool{}
	for i, s := range g.steps { // Configurations are in their order.
		e := s.first()
		if e.Event != event.Configure {
			continue
		}
		for _, id := range e.Membership.IDs {
			if up, ok := caught[id]; ok && !members[id] {
				g.add(int32(i), up)
			}
			members[id] = true
		}
		for _, id := range e.Membership.InSync {
			if up, ok := caught[id]; ok && !inSync[id] {
				g.Add(up, int32(i))
			}
			inSync[id] = true
		}
	}
}

// byView puts what data planes have answered between the steps of control planes.
func (g *known) byView() {
	places := map[*event.Event]int32{}
	for i, s := range g.steps {
		if kindOf(s.by) == control {
			places[s.first()] = int32(i)
		}
	}
	for i, s := range g.steps {
		if kindOf(s.by) != dataPlane || s.action == "Ignored" || s.view < 0 {
			continue
		}
		of := g.views.of[ringOf(s.by)]
		g.add(places[of[s.view].event], int32(i))
		if s.view+1 < len(of) {
			g.Add(int32(i), places[of[s.view+1].event])
		}
	}
}

// timeConfigurations gives configurations a time, as etcd does not tell one: just before
// the first of what must come after them.
func (g *known) timeConfigurations() {
	var order []int32
	for i, s := range g.steps {
		if s.first().Event == event.Configure {
			s.time = math.MaxInt64
			order = append(order, int32(i))
		}
	}
	for _, b := range g.bounds {
		if s := g.steps[b.first]; s.first().Event == event.Configure {
			s.time = min(s.time, g.steps[b.then].time-1)
		}
	}
	for _, i := range slices.Backward(order) {
		s := g.steps[i]
		if next := i + 1; int(next) < len(g.steps) && g.steps[next].first().Event == event.Configure {
			s.time = min(s.time, g.steps[next].time-1)
		}
	}
}
