// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"pgregory.net/rapid"

	"dalio/protocol"
)

// loadWithEvents loads a data plane that tells events, with a ring of that size in
// bytes or the usual one.
func loadWithEvents(t testing.TB, ring int) *DataPlane {
	t.Helper()
	d, err := Load(Options{Self: self, MaxSessions: testSlots, SessionTTL: testTTL, Lease: testLease, clockStands: 1,
		Events: true, eventRing: uint32(ring)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close data plane: %v", err)
		}
	})
	return d
}

func readEvents(t testing.TB, d *DataPlane) *EventReader {
	t.Helper()
	r, err := d.Events()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// TestEvents walks the object that tells events at random, beside the model, and
// compares what it tells with what it did.
func TestEvents(t *testing.T) {
	dp := loadWithEvents(t, 0)
	reader := readEvents(t, dp)
	var last *world
	t.Cleanup(func() { explain(t, dp, last) })
	told := map[string]int{}
	numbers := map[uint32]uint64{}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, dp, anyState(t))
		w.model, last = clone(w.start), w
		before := clone(w.start)
		w.witness = func(frame []byte, got protocol.Outcome) string {
			defer func() { before = clone(w.model) }()
			var e Event
			err := reader.Read(&e, time.Unix(1, 0))
			if silent(frame, got) {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					return fmt.Sprintf("it told %+v of what is no event (%v)", e, err)
				}
				return ""
			}
			if err != nil {
				return fmt.Sprintf("nothing was told: %v", err)
			}
			if e.Number != numbers[e.Processor]+1 {
				return fmt.Sprintf("event %d of processor %d follows its event %d", e.Number, e.Processor, numbers[e.Processor])
			}
			numbers[e.Processor] = e.Number
			told[e.Action]++
			return mistold(&e, frame, got, before, w.model)
		}
		t.Repeat(rapid.StateMachineActions(w))
	})
	for _, action := range actionNames {
		if told[action] == 0 {
			t.Errorf("no event of %s", action)
		}
	}
}

// silent says whether there is to be no event: no handler sees the frame, or one
// of what is no part of the protocol.
func silent(frame []byte, got protocol.Outcome) bool {
	if got.Verdict == protocol.Pass || got.Reason == protocol.BadLength || got.Reason == protocol.BadVersion {
		return true
	}
	kind := frameType(frame)
	return kind == protocol.Probe || kind == protocol.ProbeReply
}

// mistold returns in what the event differs from what happened; "" means in nothing.
func mistold(e *Event, frame []byte, got protocol.Outcome, before, after *protocol.Coordinator) string {
	var in protocol.Message
	if err := in.Unmarshal(frame[protocol.FrameOverhead:]); err != nil {
		return err.Error()
	}
	in.Key, in.Value, e.In.Key, e.In.Value = nil, nil, nil, nil
	switch {
	case !reflect.DeepEqual(in, e.In):
		return fmt.Sprintf("it tells %+v of the message %+v", e.In, in)
	case e.Reason != got.Reason || e.Epoch != after.Epoch || e.Members != after.Members || e.Serving != after.Serving:
		return fmt.Sprintf("it tells %+v of the outcome %+v", e, got)
	case got.Action != "" && e.Action != got.Action:
		return fmt.Sprintf("it tells of %s, and it was %s", e.Action, got.Action)
	}
	if got.Verdict != protocol.Drop {
		var out protocol.Message
		if err := out.Unmarshal(got.Frame[protocol.FrameOverhead:]); err != nil {
			return err.Error()
		}
		out.Key, out.Value, e.Out.Key, e.Out.Value = nil, nil, nil, nil
		targets := got.Targets
		if e.Targets != 0 && bits.OnesCount16(e.Targets) == 1 {
			// The one member that a Write goes to is filled in later.
			targets, out.Replica = 1<<out.Replica.Index(), 0
		}
		if !reflect.DeepEqual(out, e.Out) || targets != e.Targets {
			return fmt.Sprintf("it tells %+v of the message %+v that left, for %016b", e, out, targets)
		}
	}
	return slotMistold(e, before, after)
}

func slotMistold(e *Event, before, after *protocol.Coordinator) string {
	if !e.Word && e.Owner == 0 {
		return ""
	}
	session := e.In.Session
	switch e.In.Type {
	case protocol.WriteAck, protocol.ReadReply:
		session = e.In.Writer
	case protocol.OpenRequest:
		session = e.Out.Session
	}
	was, is := before.Sessions[session.Slot()], after.Sessions[session.Slot()]
	if e.Word && (e.Seq != is.Seq || e.Acks != is.Acks || e.Changed != (was.Seq != is.Seq || was.Acks != is.Acks)) {
		return fmt.Sprintf("it tells %+v of slot %d, which was %+v and is %+v", e, session.Slot(), was, is)
	}
	if e.Owner != 0 && (e.Owner != is.Owner || e.Taken != (was.Owner != is.Owner)) {
		return fmt.Sprintf("it tells %+v of the owner of slot %d, which was %+v and is %+v", e, session.Slot(), was, is)
	}
	return ""
}

// TestEventsLost fills a small ring, and expects a gap in the numbers.
func TestEventsLost(t *testing.T) {
	cpus, err := processors()
	if err != nil {
		t.Fatal(err)
	}
	if err := pin(cpus[0]); err != nil {
		t.Fatal(err)
	}
	dp := loadWithEvents(t, os.Getpagesize())
	reader := readEvents(t, dp)
	restore(t, dp, shard(3))
	frame := protocol.NewFrame(new(readRequest(5, "a")), client(0), self)
	handled, read, lost := 0, 0, 0
	run := func(n int) {
		for range n {
			if _, _, err := dp.Run(frame); err != nil {
				t.Fatal(err)
			}
		}
		handled += n
	}
	last := uint64(0)
	drain := func() {
		var e Event
		for {
			err := reader.Read(&e, time.Unix(1, 0))
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			lost += int(e.Number - last - 1)
			last = e.Number
			read++
		}
	}
	room := os.Getpagesize() / (eventSize + eventHeader)
	run(room - 1)
	drain()
	if read != handled || lost != 0 {
		t.Fatalf("read %d events of %d and lost %d while there was room", read, handled, lost)
	}
	run(3 * room)
	drain()
	run(1)
	drain()
	told, err := reader.Told()
	if err != nil || int(told[cpus[0]]) != handled {
		t.Errorf("it says that processor %d told %v events of %d, %v", cpus[0], told, handled, err)
	}
	if lost < room || read+lost != handled {
		t.Errorf("read %d events of %d and saw %d lost", read, handled, lost)
	}
	for range 2 {
		if kept, err := reader.Kept(); err != nil || int(kept) != read {
			t.Errorf("it says that %d events found room of %d that were read, %v", kept, read, err)
		}
	}
	file, err := reader.File()
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
	// The ring itself is still there.
	run(1)
	drain()
	if read+lost != handled {
		t.Errorf("read %d events of %d and saw %d lost", read, handled, lost)
	}
}

// TestNothingOfEventsWithout: an object that does not tell events has nothing of
// them in it, so that they cost nothing.
func TestNothingOfEventsWithout(t *testing.T) {
	for _, several := range []bool{false, true} {
		spec, err := embedded(several)
		if err != nil {
			t.Fatal(err)
		}
		for name, m := range spec.Maps {
			if m.Type == ebpf.RingBuf || name == eventfulMapEventParts {
				t.Errorf("an object without events has the map %s", name)
			}
		}
		for name := range spec.Variables {
			if slices.Contains([]string{"event", "events"}, name) {
				t.Errorf("an object without events has the variable %s", name)
			}
		}
	}
	if _, err := load(t, "").Events(); !errors.Is(err, ErrNoEvents) {
		t.Errorf("the events of a data plane without them: %v", err)
	}
	_, err := Load(Options{Self: self, Events: true, SeveralDevices: true})
	expectError(t, "events on several devices", err, ErrOptions)
}
