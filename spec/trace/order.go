// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"dalio/spec/trace/graph"
	"dalio/traces/event"
)

// order returns the steps in one order that keeps what is known of which came first,
// and is as near to the clock as that allows. What is known is
//
//   - the order of each teller,
//   - that a message is received after it was sent for the first time,
//   - that sequence numbers are given out in their order, and
//   - in each slot of the session table, that its owners and the word of its last
//     write only grow: whoever saw a word came after who made it, and before who made
//     the next one.
//
// None of this is read off a clock. Where it leaves the order open, either is as good:
// the steps have nothing to do with each other, or the specification refuses the one
// and the trace is rejected.
func order(steps []*step) ([]*step, error) {
	g := &known{graph.New(len(steps)), steps}
	g.byTeller()
	g.byMessage()
	g.bySequence()
	g.bySlot()
	places, stuck, ok := g.Sort(func(i int32) int64 { return steps[i].Time })
	if !ok {
		s := steps[stuck]
		return nil, fmt.Errorf("the events contradict each other: %s's event %d (%s) would have to come before itself", s.By, s.N, s.Event.Event)
	}
	sorted := make([]*step, 0, len(steps))
	for _, i := range places {
		sorted = append(sorted, steps[i])
	}
	return sorted, nil
}

// known is what is known of the order of steps.
type known struct {
	*graph.Graph
	steps []*step
}

func (g *known) byTeller() {
	last := map[string]int32{}
	for i, s := range g.steps {
		if before, ok := last[s.By]; ok {
			g.Add(before, int32(i))
		}
		last[s.By] = int32(i)
	}
}

func (g *known) byMessage() {
	first := map[message]int32{}
	for i, s := range g.steps {
		for _, m := range s.sends {
			if sent, ok := first[m]; !ok || s.Time < g.steps[sent].Time {
				first[m] = int32(i)
			}
		}
	}
	for i, s := range g.steps {
		if s.receives == nil {
			continue
		}
		if sent, ok := first[*s.receives]; ok {
			g.Add(sent, int32(i))
		}
	}
}

// gives says whether a step gives a write its number.
func gives(s *step) bool {
	return s.action == "HandleWriteRequest" && s.Slot != nil && s.Slot.Changed && s.Sends == "Write"
}

func (g *known) bySequence() {
	var numbered []int32
	for i, s := range g.steps {
		if gives(s) {
			numbered = append(numbered, int32(i))
		}
	}
	slices.SortFunc(numbered, func(a, b int32) int { return cmp.Compare(g.steps[a].Slot.Seq, g.steps[b].Slot.Seq) })
	for i := 1; i < len(numbered); i++ {
		g.Add(numbered[i-1], numbered[i])
	}
}

// bySlot orders the steps that looked at one slot: first by word, then, of those that
// saw the owner too, by owner and word.
func (g *known) bySlot() {
	words, owners := map[uint32][]int32{}, map[uint32][]int32{}
	for i, s := range g.steps {
		if s.Slot == nil || s.action == ignored {
			continue
		}
		slot := slotOf(s.Event)
		words[slot] = append(words[slot], int32(i))
		if s.Slot.Owner != 0 {
			owners[slot] = append(owners[slot], int32(i))
		}
	}
	for _, of := range words {
		g.inLevels(of, func(s *step) [3]uint64 { return [3]uint64{s.Slot.Seq, uint64(bits.OnesCount16(s.Slot.Acks))} },
			func(s *step) bool { return s.Slot.Changed })
	}
	for _, of := range owners {
		g.inLevels(of, func(s *step) [3]uint64 { return [3]uint64{uint64(s.Slot.Owner)} },
			func(s *step) bool { return s.Slot.Taken })
	}
}

// slotOf returns the slot that the event is about.
func slotOf(e *event.Event) uint32 {
	if e.Event == "HandleReadReply" {
		return e.Writer.Slot()
	}
	return e.Session.Slot()
}

// inLevels puts the steps of each level after all of the levels below it, and the one
// that made the level before those that saw it. To keep the edges few, the makers are
// chained, and the others hang between them.
func (g *known) inLevels(of []int32, level func(*step) [3]uint64, made func(*step) bool) {
	slices.SortStableFunc(of, func(a, b int32) int {
		x, y := g.steps[a], g.steps[b]
		lx, ly := level(x), level(y)
		return cmp.Or(slices.Compare(lx[:], ly[:]), cmp.Compare(asInt(!made(x)), asInt(!made(y))))
	})
	// below has the steps of the level before; this one's begins at start.
	var below []int32
	for start := 0; start < len(of); {
		end := start + 1
		for end < len(of) && level(g.steps[of[end]]) == level(g.steps[of[start]]) {
			end++
		}
		here := of[start:end]
		if made(g.steps[here[0]]) {
			for _, b := range below {
				g.Add(b, here[0])
			}
			for _, h := range here[1:] {
				g.Add(here[0], h)
			}
		} else {
			for _, b := range below {
				for _, h := range here {
					g.Add(b, h)
				}
			}
		}
		below, start = here, end
	}
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
