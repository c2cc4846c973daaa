// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"cmp"
	"math"
	"slices"

	"dalio/traces/event"
)

// views has what control planes have told data planes, in turn, by their rings. What a
// data plane has answered under it belongs between the one and the next.
type views struct {
	of map[uint32][]view
	// now is the view of each ring, from 1 on, where events are in order.
	now map[uint32]int
	// last has the view of the last event of each data plane, where they are not.
	last map[string]int
	// ended has the control planes that have told so.
	ended map[string]bool
}

// view is what a data plane knows after a step of a control plane.
type view struct {
	event *event.Event
	// The step was begun at from, and by until the next one was done.
	from, until int64
}

// distance is how far a time is from when the view may have been known.
func (w *view) distance(time int64) int64 { return max(w.from-time, time-w.until, 0) }

func (w *view) fits(e *event.Event) bool {
	return w.event.Epoch == e.Epoch && w.event.Members == e.Members && w.event.Serving == e.Serving
}

// found is the view that an event of a data plane was told under.
type found struct {
	index int
	ids   []uint32
	// killed: the control plane that has told it may not have lived to tell another.
	killed bool
}

// makesView has the steps after which a data plane knows something else.
var makesView = map[string]bool{event.Begin: true, "ShrinkServing": true, "ShrinkMask": true, "GrowMask": true, "GrowServe": true,
	"OpenKernel": true, "CloseKernel": true}

// surveyViews looks at all events, of which each teller's are in order.
func surveyViews(events []*event.Event, inOrder bool, ended map[string]bool) *views {
	v := &views{of: map[uint32][]view{}, ended: ended, last: map[string]int{}}
	rings := map[string]uint32{} // of control planes, by their tellers
	for _, e := range events {
		if kindOf(e.By) != control || !makesView[e.Event] {
			continue
		}
		if e.Event == event.Begin {
			rings[e.By] = e.Membership.Ring
		}
		v.of[rings[e.By]] = append(v.of[rings[e.By]], view{e, e.Time, math.MaxInt64})
	}
	if inOrder {
		v.now = map[uint32]int{}
		return v
	}
	for _, of := range v.of {
		slices.SortStableFunc(of, func(a, b view) int { return cmp.Compare(a.event.Time, b.event.Time) })
		for i := range of {
			if began := of[i].event.Membership.Began; began > 0 {
				of[i].from = began
			}
			if i > 0 {
				of[i-1].until = of[i].event.Time
			}
		}
	}
	return v
}

// pass takes note of an event, where events are in order.
func (v *views) pass(e *event.Event) {
	if v.now == nil || kindOf(e.By) != control || !makesView[e.Event] {
		return
	}
	for ring, of := range v.of {
		if now := v.now[ring]; now < len(of) && of[now].event == e {
			v.now[ring]++
		}
	}
}

// find returns the view under which a data plane has told an event, which is no earlier
// one than that of the event before. It tells epoch and sets; if there are several views
// with these, it is the one next in time.
func (v *views) find(ring uint32, e *event.Event) found {
	of := v.of[ring]
	if len(of) == 0 {
		return found{index: -1}
	}
	if v.now != nil {
		return v.at(ring, max(v.now[ring]-1, 0))
	}
	best, now := -1, v.last[e.By]
	for i := now; i < len(of); i++ {
		if of[i].event.Time <= e.Time {
			now = i
		}
		if of[i].fits(e) && (best < 0 || of[i].distance(e.Time) < of[best].distance(e.Time)) {
			best = i
		}
	}
	if best >= 0 {
		now = best
	}
	v.last[e.By] = now
	return v.at(ring, now)
}

func (v *views) at(ring uint32, i int) found {
	of := v.of[ring]
	e := of[i].event
	last := i+1 == len(of)
	return found{i, e.Membership.IDs, last && !v.ended[e.By] || !last && of[i+1].event.Event == event.Begin}
}
