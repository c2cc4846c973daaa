// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"slices"
	"testing"

	"dalio/traces/event"
)

// before moves the event that fits and comes after index i to the place before i, as
// somebody would have done it who does not wait for what lies between.
func before(t *testing.T, events []*event.Event, i int, fits func(*event.Event) bool) []*event.Event {
	t.Helper()
	out := duplicate(events)
	j := i + slices.IndexFunc(out[i:], fits)
	if j < i {
		t.Fatal("the recorded trace has no such event")
	}
	e := out[j]
	return renumbered(slices.Insert(slices.Delete(out, j, j+1), i, e))
}

// drop leaves out all events of an epoch that fit, and returns where the first was.
func drop(events []*event.Event, fits func(*event.Event) bool) ([]*event.Event, int) {
	first := slices.IndexFunc(events, fits)
	return renumbered(slices.DeleteFunc(duplicate(events), fits)), first
}

// withoutCures returns what a shard would have done that lacks a cure.
func withoutCures(t *testing.T, events []*event.Event) (all []alteration) {
	add := func(cure string, events []*event.Event, at int) {
		// Without FenceFirst the specification fences nobody, and without InstallFirst it
		// still installs at one member; Confirm is not alone in what it rejects here.
		alone := cure != "FenceFirst" && cure != "InstallFirst" && cure != "Confirm"
		all = append(all, alteration{cure, events, at, alone})
	}
	enters := find(t, events, 0, entersSync(events))
	add("ServeInSync", before(t, events, enters, named("GrowServe")), enters)

	caught, first := drop(events, named("CaughtUp"))
	add("CatchUpFirst", caught, first-1+slices.IndexFunc(caught[first-1:], entersSync(caught)))

	mask := find(t, events, 0, named("ShrinkMask"))
	shrunk := mask - 1
	for ; events[shrunk].Event != event.Configure; shrunk-- {
	}
	add("MaskLast", before(t, events, shrunk, named("ShrinkMask")), shrunk)

	serving := find(t, events, 0, named("ShrinkServing"))
	add("Confirm", before(t, events, serving, named(event.Configure)), serving)

	collected := find(t, events, 2, named("Collect"))
	unfenced, _ := drop(events, func(e *event.Event) bool {
		return (e.Event == "Fence" || e.Event == "Fenced") && e.Epoch == events[collected].Epoch
	})
	add("FenceFirst", unfenced, slices.IndexFunc(unfenced, func(e *event.Event) bool {
		return e.Event == "Collect" && e.Epoch == events[collected].Epoch
	}))

	opened := find(t, events, 2, named("Opened"))
	add("RecoverFirst", before(t, events, opened, named("OpenKernel")), opened)
	installed := find(t, events, 0, func(e *event.Event) bool { return e.Event == "Install" && cuts(events, e) })
	add("InstallFirst", before(t, events, installed, named(event.Configure)), installed)

	// A taking over that could not reach a member in sync, and has not waited.
	wait := find(t, events, 0, func(e *event.Event) bool { return e.Event == "Collect" && unreached(events, e) })
	hasty := duplicate(events)
	hasty[wait].Membership.Began -= hasty[wait].Membership.Lease
	add("WaitOut", hasty, wait)

	// And a coordinator that was replaced by it, does not know so, and releases a read.
	opened = find(t, events, 0, func(e *event.Event) bool { return e.Event == "OpenKernel" && e.Epoch+1 == events[wait].Epoch })
	ring := events[opened-1+slices.IndexFunc(events[opened-1:], func(e *event.Event) bool {
		return kindOf(e.By) == dataPlane && e.Epoch == events[opened].Epoch
	})].By
	late := *events[find(t, events, 0, func(e *event.Event) bool { return e.Sends == "ReadResponse" })]
	late.By, late.Epoch, late.Members, late.Serving = ring, events[opened].Epoch, events[opened].Members, events[opened].Serving
	late.Replica = events[opened].Membership.IDs[0]
	late.Sent = events[wait].Membership.Began
	out := slices.DeleteFunc(slices.Insert(duplicate(events), wait+1, &late), func(e *event.Event) bool {
		return e.Event == "CloseKernel" && e.Time > events[opened].Time
	})
	add("Lease", renumbered(out), slices.Index(out, &late))
	return all
}

// unreached says whether a coordinator recovers without some member in sync.
func unreached(events []*event.Event, collect *event.Event) bool {
	return slices.ContainsFunc(events, func(e *event.Event) bool {
		return e.Event == "TakeEpoch" && e.Epoch == collect.Epoch && len(e.Membership.InSync) > len(collect.Membership.IDs)
	})
}

// cuts says whether an epoch is recovered from some of the members only.
func cuts(events []*event.Event, install *event.Event) bool {
	return slices.ContainsFunc(events, func(e *event.Event) bool {
		return e.Event == "CutMembers" && e.Epoch == install.Epoch && slices.ContainsFunc(events, func(taken *event.Event) bool {
			return taken.Event == "TakeEpoch" && taken.Epoch == e.Epoch && len(taken.Membership.IDs) > len(e.Membership.IDs)
		})
	})
}
