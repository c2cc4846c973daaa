// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"dalio/spec/jar"
	"dalio/traces/event"
)

// recorded is the beginning of a chaos run, in order: eleven epochs, with control planes
// that are killed and adopt what they have left, and a taking over that has to wait for
// the lease. Of what was answered under the same sets a line or two are kept, and the
// lines of each teller are numbered anew.
const recorded = "testdata/chaos.jsonl"

func readRecorded(t *testing.T) []*event.Event {
	t.Helper()
	events, err := event.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func validate(t *testing.T, without string, runs ...*Run) []*Rejection {
	t.Helper()
	root, err := jar.Root()
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := jar.Pinned(root)
	if err != nil {
		t.Fatal(err)
	}
	path, err := jar.Fetch(context.Background(), root, artifact)
	if err != nil {
		t.Fatal(err)
	}
	rejections, err := (&Checker{root, path, without}).Check(t.Context(), t.TempDir(), runs...)
	if err != nil {
		t.Fatal(err)
	}
	return rejections
}

// TestRecorded validates the recorded trace as it is, and again from its events alone,
// in an order found anew.
func TestRecorded(t *testing.T) {
	events := readRecorded(t)
	inOrder, err := Arrange(events, true)
	if err != nil {
		t.Fatal(err)
	}
	shuffled := slices.Clone(events)
	for by, n := range lastOf(events) {
		if by == configuration {
			shuffled = append(shuffled, &event.Event{By: by, N: n + 1, Event: event.End})
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	ordered, err := Arrange(shuffled, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range validate(t, "", inOrder, ordered) {
		if r != nil {
			t.Errorf("run %d is rejected: %v", i, r.In(recorded))
		}
	}
	if f := inOrder.Count(); f.Epochs < 6 || f.Joined < 5 || f.Removed < 5 || f.Membership < 200 || f.Handled < 50 {
		t.Errorf("the recorded trace tells of too little: %+v", f)
	}
}

func lastOf(events []*event.Event) map[string]uint64 {
	last := map[string]uint64{}
	for _, e := range events {
		last[e.By] = max(last[e.By], e.N)
	}
	return last
}

// duplicate copies events, to be changed.
func duplicate(events []*event.Event) (out []*event.Event) {
	for _, e := range events {
		c := *e
		if e.Membership != nil {
			told := *e.Membership
			told.IDs, told.InSync = slices.Clone(told.IDs), slices.Clone(told.InSync)
			c.Membership = &told
		}
		out = append(out, &c)
	}
	return out
}

// renumbered numbers the events of each teller as if none were missing or had moved.
func renumbered(events []*event.Event) []*event.Event {
	last := map[string]uint64{}
	for _, e := range events {
		last[e.By]++
		e.N = last[e.By]
	}
	return events
}

// runsOf arranges falsified traces. What comes long after the alteration need not be
// looked at.
func runsOf(t *testing.T, all []alteration) (runs []*Run) {
	t.Helper()
	for _, a := range all {
		r, err := Arrange(a.events, true)
		if err != nil {
			t.Fatalf("%s: %v", a.name, err)
		}
		r.steps = slices.DeleteFunc(r.steps, func(s *step) bool { return s.line > a.at+20 })
		runs = append(runs, r)
	}
	return runs
}

// TestAlterations: a trace in which one event is altered, left out, or changes places
// with another, and one of a shard that lacks a cure, is rejected at that event.
func TestAlterations(t *testing.T) {
	events := readRecorded(t)
	all := slices.Concat(altered(t, events), moved(t, events), withoutCures(t, events))
	for i, r := range validate(t, "", runsOf(t, all)...) {
		switch a := all[i]; {
		case r == nil:
			t.Errorf("%s: it is accepted", a.name)
		case r.Line != a.at+1:
			t.Errorf("%s: want line %d, %v", a.name, a.at+1, r.In(recorded))
		}
	}
	t.Logf("%d alterations", len(all))
}

// TestCures: it is the cure that rejects what a shard without it would have done. Where
// the specification lacks the cure too, that is a step of it.
func TestCures(t *testing.T) {
	for _, a := range withoutCures(t, readRecorded(t)) {
		if !a.alone {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			if r := validate(t, a.name, runsOf(t, []alteration{a})...)[0]; r != nil && r.Line <= a.at+1 {
				t.Error(r.In(recorded))
			}
		})
	}
}

// TestReadOnItsWay: a coordinator that was replaced may release a read that was sent before
// its lease ran out, however late the reply comes.
func TestReadOnItsWay(t *testing.T) {
	all := withoutCures(t, readRecorded(t))
	a := all[slices.IndexFunc(all, func(a alteration) bool { return a.name == "Lease" })]
	late := a.events[a.at]
	late.Time = late.Sent
	late.Sent--
	if r := validate(t, "", runsOf(t, []alteration{a})...)[0]; r != nil && r.Line <= a.at+1 {
		t.Error(r.In(recorded))
	}
}

// TestLastStepOfAnotherJoiner: of two replicas that have joined one after the other, both
// were known before the first was made a member, and the control plane was killed before it
// could tell that the second was. Who goes on with its data plane shows that. A member that
// nobody has assigned is not taken for one.
func TestLastStepOfAnotherJoiner(t *testing.T) {
	events := duplicate(readRecorded(t))
	grow := func(members uint16) int {
		return find(t, events, 0, func(e *event.Event) bool {
			return e.Event == "GrowMask" && e.Epoch == 10 && e.Serving == 0b001 && e.Members == members
		})
	}
	first, second := grow(0b101), grow(0b111)
	told := events[second]
	fresh := told.Membership.IDs[1]
	var early, between []*event.Event
	for _, e := range events[first:second] {
		if e.Event == "Assigned" && e.Replica == fresh || e.Event == "Assign" && e.Membership.IDs[0] == fresh {
			early = append(early, e)
		} else {
			between = append(between, e)
		}
	}
	if len(early) != 2 {
		t.Fatalf("the recorded trace tells %d times that %d was assigned, want 2", len(early), fresh)
	}
	ring := events[slices.IndexFunc(events, func(e *event.Event) bool { return e.Event == event.Begin && e.By == told.By })].Membership.Ring
	goesOn := func(before ...[]*event.Event) *Run {
		begin := &event.Event{By: "coordinator.1", Event: event.Begin, Epoch: told.Epoch, Members: told.Members, Serving: told.Serving,
			Membership: &event.Membership{Coordinator: told.Membership.Coordinator, IDs: told.Membership.IDs, Ring: ring}}
		r, err := Arrange(renumbered(duplicate(append(slices.Concat(before...), begin))), true)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for i, r := range validate(t, "", goesOn(events[:first], early, between), goesOn(events[:first], between)) {
		switch {
		case i == 0 && r != nil:
			t.Errorf("with both assigned it is rejected: %v", r.In(recorded))
		case i == 1 && r == nil:
			t.Error("with one that nobody has assigned it is accepted")
		}
	}
}

// TestIncomplete: what is missing is not passed over in silence.
func TestIncomplete(t *testing.T) {
	events := readRecorded(t)
	if _, err := Arrange(events, false); err == nil || !strings.Contains(err.Error(), "not told to their end") {
		t.Errorf("configurations without their end: %v", err)
	}
	events = append(events, &event.Event{By: configuration, N: lastOf(events)[configuration] + 1, Event: event.End})
	last := lastOf(events)
	without := func(is func(*event.Event) bool) []*event.Event {
		i := 150 + slices.IndexFunc(events[150:], func(e *event.Event) bool { return is(e) && e.N < last[e.By] })
		return slices.Delete(slices.Clone(events), i, i+1)
	}
	for _, kind := range []string{control, replica, configuration} {
		if _, err := Arrange(without(func(e *event.Event) bool { return kindOf(e.By) == kind }), false); err == nil || !strings.Contains(err.Error(), "1 events of "+kind) {
			t.Errorf("without one of a %s: %v", kind, err)
		}
	}
	r, err := Arrange(without(func(e *event.Event) bool { return kindOf(e.By) == dataPlane }), false)
	if err != nil || r.Missing != 1 || !slices.ContainsFunc(r.Lost, func(s string) bool { return strings.HasPrefix(s, "1 of "+control) }) {
		t.Errorf("without one of a data plane: %v, %+v", err, r)
	}
	if _, err := Arrange(events[:20], true); err == nil || !strings.Contains(err.Error(), "opened for the first time") {
		t.Errorf("a trace without an opening: %v", err)
	}
	twice := duplicate(events)
	for _, e := range twice { // A member has been fenced before its coordinator took the epoch.
		if e.Event == "Fenced" && e.Epoch == 3 {
			e.Epoch = 5
		}
	}
	if _, err := Arrange(twice, false); err == nil || !strings.Contains(err.Error(), "contradict") {
		t.Errorf("events that contradict each other: %v", err)
	}
}
