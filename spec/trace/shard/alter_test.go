// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"dalio/traces/event"
)

// alteration is one way to falsify a trace.
type alteration struct {
	name string
	// events is the trace, and at the index at which it must be rejected.
	events []*event.Event
	at     int
	// alone: the name is that of the cure which alone rejects it.
	alone bool
}

// after is where the checked part of the recorded trace is well under way.
const after = 40

// find returns the index of the nth event that fits, from 0 on.
func find(t *testing.T, events []*event.Event, n int, fits func(*event.Event) bool) int {
	t.Helper()
	for i := after; i < len(events); i++ {
		if fits(events[i]) {
			if n == 0 {
				return i
			}
			n--
		}
	}
	t.Fatal("the recorded trace has no such event")
	return 0
}

func named(name string) func(*event.Event) bool {
	return func(e *event.Event) bool { return e.Event == name }
}

// has says whether there is an event of an epoch.
func has(events []*event.Event, name string, epoch uint32) bool {
	return slices.ContainsFunc(events, func(e *event.Event) bool { return e.Event == name && e.Epoch == epoch })
}

// entersSync says whether a configuration has somebody in sync that the one before had not.
func entersSync(events []*event.Event) func(*event.Event) bool {
	enters := map[*event.Event]bool{}
	var before *event.Event
	for _, e := range events {
		if e.Event != event.Configure {
			continue
		}
		enters[e] = before != nil && before.Epoch == e.Epoch && len(e.Membership.InSync) > len(before.Membership.InSync)
		before = e
	}
	return func(e *event.Event) bool { return enters[e] }
}

// changes falsify what an event of some kind tells.
var changes = map[string]map[string]func(*event.Event){
	"ShrinkServing": {"serving": func(e *event.Event) { e.Serving = e.Members }, "members": func(e *event.Event) { e.Members &= e.Members - 1 },
		"epoch": func(e *event.Event) { e.Epoch++ }, "coordinator": another},
	"ShrinkMask":  {"members": func(e *event.Event) { e.Members &= e.Members - 1 }, "coordinator": another},
	"GrowMask":    {"members": func(e *event.Event) { e.Members &= e.Members - 1 }, "serving": func(e *event.Event) { e.Serving = e.Members }},
	"GrowServe":   {"serving": func(e *event.Event) { e.Serving &= e.Serving - 1 }, "epoch": func(e *event.Event) { e.Epoch-- }},
	"OpenKernel":  {"serving": func(e *event.Event) { e.Serving &= e.Serving - 1 }, "epoch": func(e *event.Event) { e.Epoch-- }, "coordinator": another},
	"Configure":   {"members": func(e *event.Event) { e.Membership.IDs = e.Membership.IDs[1:] }, "in sync": func(e *event.Event) { e.Membership.InSync = e.Membership.InSync[1:] }, "epoch": func(e *event.Event) { e.Epoch += 2 }},
	"TakeEpoch":   {"coordinator": another, "revision": func(e *event.Event) { e.Membership.Revision-- }},
	"CutMembers":  {"members": func(e *event.Event) { e.Membership.IDs = e.Membership.IDs[1:] }, "revision": func(e *event.Event) { e.Membership.Revision-- }},
	"EnterSync":   {"in sync": func(e *event.Event) { e.Membership.InSync = e.Membership.InSync[1:] }},
	"Assigned":    {"id": func(e *event.Event) { e.Replica -= 16 }, "epoch": func(e *event.Event) { e.Epoch-- }},
	"Fenced":      {"replica": elsewhere, "epoch": func(e *event.Event) { e.Epoch-- }},
	"Opened":      {"id": func(e *event.Event) { e.Replica = 17 }, "epoch": func(e *event.Event) { e.Epoch-- }},
	"CaughtUp":    {"epoch": func(e *event.Event) { e.Epoch-- }, "source": func(e *event.Event) { e.Membership.Source = e.Membership.At }},
	"Fence":       {"members": func(e *event.Event) { e.Membership.IDs[0] = 17 }, "epoch": func(e *event.Event) { e.Epoch-- }},
	"Collect":     {"members": func(e *event.Event) { e.Membership.IDs = e.Membership.IDs[1:] }, "coordinator": another},
	"Install":     {"members": func(e *event.Event) { e.Membership.IDs = e.Membership.IDs[1:] }},
	"OpenMembers": {"members": func(e *event.Event) { e.Membership.IDs[0] = 17 }},
	"Begin":       {"epoch": func(e *event.Event) { e.Epoch-- }},
	"HandleReadRequest": {"serving": func(e *event.Event) { e.Serving = 0 }, "epoch": func(e *event.Event) { e.Epoch-- },
		"members": func(e *event.Event) { e.Members = 1 }},
	"HandleReadReply": {"replica": func(e *event.Event) { e.Replica = 17 }},
	"HandleWrite":     {"id": func(e *event.Event) { e.Replica = 17 }, "epoch": func(e *event.Event) { e.Epoch++ }},
}

// elsewhere has another replica tell.
func elsewhere(e *event.Event) {
	if e.Membership.At = "10.77.0.11:7411"; e.Replica%16 == 0 {
		e.Membership.At = "10.77.0.13:7411"
	}
}

func another(e *event.Event) {
	if e.Membership.Coordinator == "coordinator" {
		e.Membership.Coordinator = "standby1"
	} else {
		e.Membership.Coordinator = "coordinator"
	}
}

func altered(t *testing.T, events []*event.Event) (all []alteration) {
	for _, kind := range slices.Sorted(maps.Keys(changes)) {
		for _, field := range slices.Sorted(maps.Keys(changes[kind])) {
			out := duplicate(events)
			i := find(t, out, 1, func(e *event.Event) bool {
				return e.Event == kind && (kindOf(e.By) != dataPlane && kind != event.Begin || e.Epoch != 0)
			})
			changes[kind][field](out[i])
			all = append(all, alteration{name: fmt.Sprintf("%s of %s in line %d", field, kind, i+1), events: out, at: i})
		}
	}
	return all
}

// moved leaves events out, and has them change places.
func moved(t *testing.T, events []*event.Event) (all []alteration) {
	leave := func(i int, next func(*event.Event) bool) {
		at := i + 1
		for ; !next(events[at]); at++ {
		}
		name := fmt.Sprintf("%s in line %d left out", events[i].Event, i+1)
		// The next number of its teller tells, or what depends on it.
		alone, mended := duplicate(events), duplicate(events)
		n := i + 1
		for ; n < len(events)-1 && events[n].By != events[i].By; n++ {
		}
		all = append(all, alteration{name: name, events: slices.Delete(alone, i, i+1), at: min(n, at) - 1},
			alteration{name: name + ", and the others numbered anew", events: renumbered(slices.Delete(mended, i, i+1)), at: at - 1})
	}
	leave(find(t, events, 0, named("Fenced")), named("Fence"))
	leave(find(t, events, 0, func(e *event.Event) bool { return e.Event == "Opened" && has(events, "OpenMembers", e.Epoch) }), named("OpenMembers"))
	leave(find(t, events, 0, named("Collect")), named("Install"))
	leave(find(t, events, 0, func(e *event.Event) bool { return e.Event == "Install" && cuts(events, e) }), named(event.Configure))
	leave(find(t, events, 0, func(e *event.Event) bool {
		return e.Event == "CaughtUp" && !slices.ContainsFunc(events, func(o *event.Event) bool { return o != e && o.Event == "CaughtUp" && o.Replica == e.Replica })
	}), entersSync(events))
	leave(find(t, events, 0, named("GrowMask")), named(event.Configure))
	shrunk := find(t, events, 0, named("ShrinkMask"))
	leave(shrunk, func(e *event.Event) bool { return kindOf(e.By) == dataPlane && e.Members == events[shrunk].Members })
	leave(find(t, events, 0, named("Assigned")), named("GrowMask"))

	swap := func(i int, next func(*event.Event) bool) {
		j := i + 1
		for ; !next(events[j]); j++ {
		}
		out := duplicate(events)
		out[i], out[j] = out[j], out[i]
		all = append(all, alteration{name: fmt.Sprintf("%s in line %d changes places with %s in line %d", events[i].Event, i+1, events[j].Event, j+1), events: out, at: i})
	}
	swap(find(t, events, 0, named("Fenced")), named("Fence"))
	swap(find(t, events, 0, named("Opened")), named("OpenKernel"))
	swap(find(t, events, 0, named("GrowMask")), named(event.Configure))
	swap(find(t, events, 0, named("CaughtUp")), entersSync(events))
	swap(find(t, events, 0, named("Collect")), named("Install"))
	return all
}
