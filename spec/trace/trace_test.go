// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dalio/traces/event"
)

// recorded is the beginning of a demo run, in order.
const recorded = "testdata/demo.jsonl"

func readRecorded(t *testing.T) []*event.Event {
	t.Helper()
	events, err := event.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func startChecker(t *testing.T) *checker {
	t.Helper()
	c, err := newChecker(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c.follow = true
	return c
}

// TestRecorded validates the recorded trace as it is, and again from its events
// alone, with the clocks of their tellers set wrong: the order does not come from
// those.
func TestRecorded(t *testing.T) {
	var chunks []*chunk
	var in *interpreter
	for _, inOrder := range []bool{true, false} {
		events := readRecorded(t)
		if !inOrder {
			events = ended(skewed(events))
		}
		seen, steps, err := arrange(events, inOrder)
		if err != nil {
			t.Fatalf("in order %t: %v", inOrder, err)
		}
		in, chunks = seen, append(chunks, cut(steps, chunkLength)...)
	}
	verdicts, err := startChecker(t).run(t.Context(), "recorded", worldOf(in, chunks), chunks)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range verdicts {
		if !v.accepted {
			t.Errorf("chunk %d of %d is rejected at line %d", i, len(verdicts), chunks[i].steps[v.reached].line)
		}
	}
}

// ended returns the events with an end of each teller.
func ended(events []*event.Event) []*event.Event {
	last := map[string]uint64{}
	for _, e := range events {
		last[e.By] = max(last[e.By], e.N)
	}
	for by, n := range last {
		events = append(events, &event.Event{By: by, N: n + 1, Event: event.End})
	}
	return events
}

// skewed returns the events with another clock for each teller, up to 10 ms wrong.
func skewed(events []*event.Event) []*event.Event {
	random := rand.New(rand.NewPCG(1, 2))
	wrong := map[string]int64{}
	for _, e := range events {
		if wrong[e.By] == 0 {
			wrong[e.By] = random.Int64N(20e6) - 10e6
		}
		e.Time += wrong[e.By]
	}
	return events
}

// alteration is one way to falsify a trace.
type alteration struct {
	name string
	// events is the trace, and at the line at which it must be rejected.
	events []*event.Event
	at     int
}

// TestAlterations: a trace in which one event is altered, left out, or changes places
// with another is rejected, at that event.
func TestAlterations(t *testing.T) {
	all := alterations(t)
	// Short chunks, as each alteration takes two of them.
	const length = 60
	var chunks []*chunk
	var worlds *interpreter
	for _, a := range all {
		in, steps, err := arrange(a.events, true)
		if err != nil {
			t.Fatalf("%s: %v", a.name, err)
		}
		cuts, here := cut(steps, length), (a.at-1)/length
		chunks = append(chunks, cuts[max(0, here-1)], cuts[here])
		worlds = in
	}
	c := startChecker(t)
	verdicts, err := c.run(t.Context(), "altered", worldOf(worlds, chunks), chunks)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range all {
		before, here := verdicts[2*i], verdicts[2*i+1]
		if a.at > length && !before.accepted {
			t.Errorf("%s: it is rejected at line %d already, want %d", a.name, chunks[2*i].steps[before.reached].line, a.at)
			continue
		}
		if here.accepted {
			t.Errorf("%s: it is accepted", a.name)
		} else if line := chunks[2*i+1].steps[min(here.reached, len(chunks[2*i+1].steps)-1)].line; line != a.at {
			t.Errorf("%s: it is rejected at line %d, want %d", a.name, line, a.at)
		}
	}
	t.Logf("%d alterations", len(all))
}

// changes falsify what an event of some kind tells.
var changes = map[string]map[string]func(*event.Event){
	"HandleOpenRequest":   {"session": func(e *event.Event) { e.Session += 1 << 24 }, "owner": func(e *event.Event) { e.Slot.Owner++ }, "nonce": func(e *event.Event) { e.Nonce++ }},
	"HandleWriteRequest":  {"value": func(e *event.Event) { e.Value = "00000000" }, "number": func(e *event.Event) { e.Slot.Seq++ }, "targets": func(e *event.Event) { e.Targets &= 5 }, "session": func(e *event.Event) { e.Session++ }, "client": func(e *event.Event) { e.Client = "10.0.0.1:1" }},
	"HandleWriteAck":      {"replica": func(e *event.Event) { e.Replica ^= 1 }, "version": func(e *event.Event) { e.Version.Seq++ }, "acks": func(e *event.Event) { e.Slot.Acks ^= 6 }, "request": func(e *event.Event) { e.Request++ }},
	"HandleReadRequest":   {"key": func(e *event.Event) { e.Key++ }, "to a replica that there is not": func(e *event.Event) { e.To = 20 }, "sends": func(e *event.Event) { e.Sends, e.To, e.Status = "ReadResponse", 0, "OK" }},
	"HandleReadReply":     {"hops": func(e *event.Event) { e.Hops++ }, "replica": func(e *event.Event) { e.Replica ^= 1 }, "value": func(e *event.Event) { e.Value = "00000000" }, "version": func(e *event.Event) { e.Version = event.Version{Epoch: 1, Seq: 9} }},
	"HandleWrite":         {"applied": func(e *event.Event) { e.Applied = !e.Applied }, "replica": func(e *event.Event) { e.Replica ^= 1 }, "version": func(e *event.Event) { e.Version.Seq += 7 }, "value": func(e *event.Event) { e.Value = "00000000" }},
	"HandleRead":          {"value": func(e *event.Event) { e.Value = "00000000" }, "version": func(e *event.Event) { e.Version = event.Version{Epoch: 1, Seq: 9999} }, "key": func(e *event.Event) { e.Key++ }},
	"HandleOpenResponse":  {"session": func(e *event.Event) { e.Session++ }, "nonce": func(e *event.Event) { e.Nonce++ }},
	"HandleReadResponse":  {"value": func(e *event.Event) { e.Value = "00000000" }},
	"HandleWriteResponse": {"session": func(e *event.Event) { e.Session++ }, "status": func(e *event.Event) { e.Status = "EXPIRED" }},
	"InvokeWrite":         {"session": func(e *event.Event) { e.Session += 1 << 24 }},
	"Retry":               {"sends": func(e *event.Event) { e.Sends = "WriteResponse" }},
}

func alterations(t *testing.T) (all []alteration) {
	events := readRecorded(t)
	random := rand.New(rand.NewPCG(3, 4))
	// pick returns the place of an event of the kind, not among the first.
	pick := func(fits func(i int) bool) int {
		var places []int
		for i := 200; i < len(events)-60; i++ {
			if fits(i) {
				places = append(places, i)
			}
		}
		if len(places) == 0 {
			t.Fatal("the recorded trace has no such event")
		}
		return places[random.IntN(len(places))]
	}
	for _, kind := range slices.Sorted(maps.Keys(changes)) {
		for _, field := range slices.Sorted(maps.Keys(changes[kind])) {
			change := changes[kind][field]
			i := pick(func(i int) bool { return events[i].Event == kind && telling(events[i], field) })
			altered := duplicate(events)
			change(altered[i])
			all = append(all, alteration{fmt.Sprintf("%s of %s in line %d", field, kind, i+1), altered, i + 1})
		}
	}
	_, steps, err := arrange(duplicate(events), true)
	if err != nil {
		t.Fatal(err)
	}
	// Whatever is left out, its teller's next number tells, or who gets its message.
	for _, kind := range []string{"HandleRead", "HandleReadRequest", "HandleReadReply", "InvokeRead"} {
		i := pick(func(i int) bool { return events[i].Event == kind && nextOf(events, i) < i+30 })
		altered := duplicate(events)
		altered = append(altered[:i], altered[i+1:]...)
		at := nextOf(events, i)
		if first := needed(steps, i); first > 0 {
			at = min(at, first)
		}
		all = append(all, alteration{fmt.Sprintf("%s in line %d left out", kind, i+1), altered, at})
	}
	// With the numbers put right, the first event that needs it tells.
	for _, kind := range []string{"HandleRead", "HandleReadRequest"} {
		i := pick(func(i int) bool { return events[i].Event == kind && needed(steps, i) > 0 && needed(steps, i) < i+55 })
		altered := renumbered(append(duplicate(events[:i]), duplicate(events[i+1:])...))
		all = append(all, alteration{fmt.Sprintf("%s in line %d left out, and the others numbered anew", kind, i+1), altered, needed(steps, i)})
	}
	// Of two that change places, the first that comes too early tells.
	for _, kind := range []string{"HandleWrite", "HandleWriteAck", "HandleReadReply", "HandleRead"} {
		i := pick(func(i int) bool { return events[i].Event == kind && nextOf(events, i) <= i+20 })
		j := nextOf(events, i)
		altered := duplicate(events)
		altered[i], altered[j] = altered[j], altered[i]
		all = append(all, alteration{fmt.Sprintf("%s in line %d changes places with that in line %d", kind, i+1, j+1), altered, i + 1})
	}
	return all
}

// telling says whether the field means something in the event.
func telling(e *event.Event, field string) bool {
	switch field {
	case "acks", "number", "replica":
		if e.Event != "HandleWriteAck" && field == "replica" {
			return true
		}
		return e.Slot != nil && e.Slot.Changed
	case "targets":
		return e.Targets == 7
	case "owner":
		return e.Slot != nil && e.Slot.Taken
	case "value":
		return e.Event != "HandleWriteRequest" || e.Sends == "Write"
	case "session":
		return e.Event != "InvokeWrite" || e.Session != 0
	}
	return true
}

func duplicate(events []*event.Event) (out []*event.Event) {
	for _, e := range events {
		c := *e
		if e.Slot != nil {
			slot := *e.Slot
			c.Slot = &slot
		}
		out = append(out, &c)
	}
	return out
}

// nextOf returns the index of the next event of the same teller.
func nextOf(events []*event.Event, i int) int {
	for j := i + 1; j < len(events); j++ {
		if events[j].By == events[i].By {
			return j
		}
	}
	return len(events)
}

// needed returns the index of the first step that receives what the ith alone has sent
// before it, 0 if there is none.
func needed(steps []*step, i int) int {
	for _, m := range steps[i].sends {
		for j := range steps {
			for _, other := range steps[j].sends {
				if j < i && other == m {
					return 0
				}
			}
			if j > i && steps[j].receives != nil && *steps[j].receives == m {
				return j
			}
			if j > i {
				for _, other := range steps[j].sends {
					if other == m {
						return 0
					}
				}
			}
		}
	}
	return 0
}

// renumbered numbers the events of each teller as if none were missing.
func renumbered(events []*event.Event) []*event.Event {
	last := map[string]uint64{}
	for _, e := range events {
		last[e.By]++
		e.N = last[e.By]
	}
	return events
}

// TestIncomplete: what is missing is not passed over, and neither is what contradicts
// itself.
func TestIncomplete(t *testing.T) {
	events := readRecorded(t)
	if _, err := complete(events); err == nil || !strings.Contains(err.Error(), "was it killed?") {
		t.Errorf("a trace whose tellers do not end: %v", err)
	}
	events = ended(events)
	if _, err := complete(append(events[:500:500], events[501:]...)); err == nil || !strings.Contains(err.Error(), "1 events were lost") {
		t.Errorf("a trace without its 501st event: %v", err)
	}
	empty := filepath.Join(t.TempDir(), "none.jsonl")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := gather(empty); err == nil || !strings.Contains(err.Error(), "--events") {
		t.Errorf("a trace without events: %v", err)
	}
	// The second acknowledgement of a write is told of before the first.
	twice := []*event.Event{
		{By: "c.0", N: 1, Event: "HandleWriteAck", Session: 1 << 40, Slot: &event.Slot{Seq: 1, Acks: 3, Changed: true}},
		{By: "c.0", N: 2, Event: "HandleWriteAck", Session: 1 << 40, Slot: &event.Slot{Seq: 1, Acks: 1, Changed: true}},
	}
	if _, _, err := arrange(ended(twice), false); err == nil || !strings.Contains(err.Error(), "contradict") {
		t.Errorf("events that contradict each other: %v", err)
	}
}
