// SPDX-License-Identifier: Apache-2.0

// Package shard says whether what a shard did through failures is a behaviour of
// Shard.tla. TraceShard.tla has what is checked; here the events of a run are put into
// one order, and written down as it reads them.
package shard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"dalio/traces/event"
)

// Run is one run of a shard, in one order.
type Run struct {
	*names
	steps []*step
	// founded is the step by which the shard was opened for the first time: what comes
	// before it is not checked.
	founded int
	// Lost says which events of data planes were lost, and how many.
	Lost []string
	// Missing is how many events those are, as far as anybody can know.
	Missing uint64

	views *views
	// waits are the steps of those who have waited for the lease to run out.
	waits []*event.Event
}

// step is what TLC takes for an event: or for several of one teller that have nothing
// new to tell.
type step struct {
	events []*event.Event
	by     string
	// from and to are their numbers. A step that nobody tells is of the teller of the
	// next one, from whose number it has, to the one before it.
	from, to uint64
	time     int64
	line     int // that of the first event, from 1 on
	// killed: a process may have taken a step before it that it did not live to tell.
	killed bool

	action, x, about string
	// view is that of a data plane, among those of its ring.
	view int
}

// first returns the first event of the step, an empty one if nobody has told it.
func (s *step) first() *event.Event {
	if len(s.events) == 0 {
		return &event.Event{Membership: &event.Membership{}}
	}
	return s.events[0]
}

// The kinds of tellers, by their names.
const (
	configuration = "configuration"
	control       = "coordinator"
	dataPlane     = "data plane"
	replica       = "replica"
	client        = "clients"
)

func kindOf(by string) string {
	name, rest, _ := strings.Cut(by, ".")
	if name == control && strings.Contains(rest, ".") {
		return dataPlane
	}
	return name
}

// ringOf returns the ring of a data plane, by the name of its teller.
func ringOf(by string) (ring uint32) {
	_, _ = fmt.Sscanf(by, control+".%d.", &ring) // What is no number is nobody's ring.
	return ring
}

// Arrange turns events into a run, in the order that they have or in one that fits.
func Arrange(events []*event.Event, inOrder bool) (*Run, error) {
	r := &Run{}
	events = slices.DeleteFunc(slices.Clone(events), func(e *event.Event) bool { return kindOf(e.By) == client })
	ended := map[string]bool{}
	if !inOrder {
		slices.SortStableFunc(events, func(a, b *event.Event) int { return cmp.Or(cmp.Compare(a.By, b.By), cmp.Compare(a.N, b.N)) })
		if err := r.complete(events); err != nil {
			return nil, err
		}
	}
	events = slices.DeleteFunc(events, func(e *event.Event) bool {
		ended[e.By] = ended[e.By] || e.Event == event.End
		return e.Event == event.End
	})
	r.names = nameAll(events)
	r.interpretAll(events, inOrder, ended)
	if !inOrder {
		if err := r.order(); err != nil {
			return nil, err
		}
	}
	line := 1
	for _, s := range r.steps {
		s.line = line
		line += len(s.events)
	}
	r.founded = slices.IndexFunc(r.steps, func(s *step) bool { return s.action == "OpenKernel" })
	if r.founded < 0 || r.steps[r.founded].events[0].Epoch != 1 {
		return nil, fmt.Errorf("the trace does not tell how the shard was opened for the first time")
	}
	r.fillIn()
	return r, nil
}

// complete looks for events that are missing. Those of a data plane may be: its ring
// was full, or its reader was killed before it had written them. What a process has
// told at its end is not missing if it was killed: nothing came of it.
func (r *Run) complete(events []*event.Event) error {
	last := map[string]uint64{}
	for i, e := range events {
		if kindOf(e.By) == dataPlane && e.Event != event.End && (i+1 == len(events) || events[i+1].By != e.By) {
			r.Lost = append(r.Lost, fmt.Sprintf("those of %s after its event %d, if there were any", e.By, e.N))
		}
		missing := e.N - last[e.By] - 1
		last[e.By] = e.N
		switch {
		case missing == 0:
		case kindOf(e.By) == dataPlane:
			r.Missing += missing
			r.Lost = append(r.Lost, fmt.Sprintf("%d of %s before its event %d", missing, e.By, e.N))
		default:
			return fmt.Errorf("the trace is incomplete: %d events of %s are missing before its event %d", missing, e.By, e.N)
		}
	}
	if events := slices.IndexFunc(events, func(e *event.Event) bool { return e.By == configuration && e.Event == event.End }); events < 0 {
		return fmt.Errorf("the trace is incomplete: the configurations are not told to their end")
	}
	return nil
}

// Events returns the events in order.
func (r *Run) Events() (all []*event.Event) {
	for _, s := range r.steps {
		all = append(all, s.events...)
	}
	return all
}

// Figures are what a run has told.
type Figures struct {
	// Events of the membership, and of messages that data planes and replicas have
	// handled; Epochs that were opened, and Joined, Removed members.
	Membership, Handled, Epochs, Joined, Removed int
}

// Count returns the figures of a run.
func (r *Run) Count() (f Figures) {
	for _, s := range r.steps[r.founded:] {
		switch s.action {
		case "Served", "Released", "Answered":
			f.Handled += len(s.events)
			continue
		case "Ignored":
			continue
		case "OpenKernel":
			f.Epochs++
		case "GrowServe":
			f.Joined++
		case "ShrinkMask":
			f.Removed++
		}
		f.Membership += len(s.events)
	}
	return f
}
