// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"fmt"
	"slices"
	"strings"

	"dalio/traces/event"
)

// interpretAll turns events into steps. They are in order, or those of each teller are
// together.
func (r *Run) interpretAll(events []*event.Event, inOrder bool, ended map[string]bool) {
	v := surveyViews(events, inOrder, ended)
	for _, e := range events {
		if e.Event == "Collect" && r.waited(e) {
			r.waits = append(r.waits, e)
		}
	}
	var last *step
	var lastKey string
	told := map[string]uint64{} // by data planes, those that were lost among them
	for _, e := range events {
		v.pass(e)
		s, key := r.interpret(e, v)
		if kindOf(e.By) == dataPlane && !inOrder {
			s.from, told[e.By] = told[e.By]+1, e.N
		}
		// What is answered under the same is one step.
		if key != "" && last != nil && last.by == s.by && lastKey == key && last.to+1 == s.from {
			last.events, last.to, last.time = append(last.events, e), e.N, e.Time
			continue
		}
		if e.Event == "Collect" && r.waited(e) {
			// Nobody tells that the time of the lease has passed, but the clock does.
			r.steps = append(r.steps, &step{by: s.by, from: s.from, to: s.from - 1, time: e.Membership.Began, x: s.x, action: "WaitForLease"})
		}
		r.steps = append(r.steps, s)
		last, lastKey = s, key
	}
	r.views = v
}

// interpret returns the step that an event is, and what it is the same step by as the
// one before it, "" if it is one of its own.
func (r *Run) interpret(e *event.Event, v *views) (s *step, key string) {
	s = &step{events: []*event.Event{e}, by: e.By, from: e.N, to: e.N, time: e.Time, action: e.Event}
	switch kindOf(e.By) {
	case configuration:
		told := e.Membership
		s.x = told.Coordinator
		s.about = tuple(e.Epoch, r.set(told.IDs), r.set(told.InSync))
	case control:
		r.ofControl(s, e)
	case replica:
		if e.Membership == nil {
			s.action = "Answered"
			s.about = tuple(r.nodeOf(e.Replica), r.id(e.Replica), e.Epoch)
			return s, s.about
		}
		r.ofReplica(s, e)
	case dataPlane:
		ring := ringOf(e.By)
		s.action, s.x = "Served", r.rings[ring]
		at := v.find(ring, e)
		if e.Epoch == 0 || s.x == "" {
			s.action = "Ignored" // It is closed.
			return s, "closed"
		}
		s.killed = at.killed
		about := []any{e.Epoch, r.set(chosen(at.ids, e.Members)), r.set(chosen(at.ids, e.Serving))}
		if e.Event == "HandleReadReply" && e.Sends == "ReadResponse" {
			s.action, about = "Released", append(about, r.id(e.Replica), r.sinceRead(e))
		}
		s.about = tuple(about...)
		s.view = at.index
		return s, tuple(at.index, s.about)
	}
	return s, ""
}

func (r *Run) nodeOf(id uint32) int { return r.ids[id].node }

func (r *Run) ofControl(s *step, e *event.Event) {
	told := e.Membership
	s.x = told.Coordinator
	switch e.Event {
	case event.Begin, "ShrinkServing", "ShrinkMask", "GrowMask", "GrowServe", "OpenKernel":
		s.about = tuple(e.Epoch, r.set(chosen(told.IDs, e.Members)), r.set(chosen(told.IDs, e.Serving)))
		s.killed = e.Event == event.Begin
	case "Fence", "Collect", "Install", "OpenMembers":
		s.about = tuple(e.Epoch, r.set(told.IDs))
	default:
		switch {
		case !changesConfig[e.Event]:
			s.action = "Ignored"
		case e.Drop != "":
			s.action = "Unsure"
		default:
			s.action = "Swapped"
			s.about = tuple(r.versions[told.Revision], e.Epoch, r.set(told.IDs), r.set(told.InSync))
		}
	}
}

func (r *Run) ofReplica(s *step, e *event.Event) {
	s.x = r.owners[e.Epoch]
	about := []any{r.nodes[e.Membership.At], r.id(e.Replica), e.Epoch}
	switch {
	case e.Replica == 0, e.Event == "Fenced" && !r.fenced[e.Epoch][e.Replica], e.Event == "CaughtUp" && !r.synced[e.Replica]:
		// Whoever asked for it does not know, and goes on as if it had not been.
		s.action = "Ignored"
		return
	case e.Event == "CaughtUp":
		about = append(about, r.nodes[e.Membership.Source])
	}
	s.about = tuple(about...)
}

// fillIn adds the steps that nobody tells but others show: that the process of a node has
// ended.
func (r *Run) fillIn() {
	var all []*step
	process := map[int]string{}
	for i, s := range r.steps {
		if len(s.events) > 0 && kindOf(s.by) == replica {
			e := s.events[0]
			node := r.nodeOf(e.Replica)
			if e.Membership != nil {
				node = r.nodes[e.Membership.At]
			}
			if before, ok := process[node]; ok && before != e.By {
				all = append(all, &step{by: s.by, from: s.from, to: s.from - 1, line: s.line, action: "Ended", about: tuple(node)})
			}
			process[node] = e.By
		}
		if i == r.founded {
			r.founded = len(all)
		}
		all = append(all, s)
	}
	r.steps = all
}

// sinceRead returns the epochs for which the time of the lease has passed while a read
// was on its way that was then released.
func (r *Run) sinceRead(e *event.Event) string {
	var epochs []string
	for _, w := range r.waits {
		if began := w.Membership.Began; w.Epoch > e.Epoch && e.Sent != 0 && e.Sent < began && began <= e.Time {
			epochs = append(epochs, fmt.Sprint(w.Epoch))
		}
	}
	return "{" + strings.Join(epochs, ", ") + "}"
}

// waited says whether a coordinator that could not reach a member in sync has waited
// until the lease had run out at those that it has reached, before it has collected.
func (r *Run) waited(e *event.Event) bool {
	told := e.Membership
	var last int64
	for _, id := range told.IDs {
		last = max(last, r.fencedAt[place{id, e.Epoch}])
	}
	unreached := slices.ContainsFunc(r.inSync[e.Epoch], func(id uint32) bool { return !slices.Contains(told.IDs, id) })
	return unreached && told.Lease > 0 && told.Began-last >= told.Lease
}
