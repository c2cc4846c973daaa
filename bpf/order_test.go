// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"dalio/protocol"
)

// streams is the most sequences of frames that are handled in the order in which
// they were made: what a lane sends by one wire.
const streams = trafficLanes * (raceMembers + 2)

// occurrence is one input of a run with what came of it. It was handled at some
// moment from start to end.
type occurrence struct {
	in         *trafficInput
	out        *trafficOutput
	lane       int
	start, end uint64
}

// occurrencesOf returns what concerns a slot, by streams. Each was handled before
// anything came of it or of one after it in its stream.
func (l *logs) occurrencesOf(slot int) (all [streams][]occurrence) {
	var end [streams]uint64
	for i := range end {
		end[i] = ^uint64(0)
	}
	for lane := range l.in {
		for i := len(l.in[lane]) - 1; i >= 0; i-- {
			in, out := &l.in[lane][i], &l.out[lane][i]
			stream := l.wire(lane, in)*trafficLanes + lane
			if out.Count != 0 {
				end[stream] = min(end[stream], out.Time)
			}
			if int(in.Slot) == slot {
				all[stream] = append(all[stream], occurrence{in, out, lane, in.Time, end[stream]})
			}
		}
	}
	for _, stream := range all {
		slices.Reverse(stream)
	}
	return all
}

// moment is how far each stream has got, and the slot's entry then.
type moment struct {
	at    [streams]uint32
	entry protocol.SessionEntry
}

// search looks for an order of what concerns a slot.
type search struct {
	logs  *logs
	model *protocol.Coordinator
	slot  int
	all   [streams][]occurrence
	seen  map[moment]bool
	// furthest is the moment before which the most was explained.
	furthest moment
}

// order looks for an order of what concerns a slot, in which the model makes of
// each input what was seen to come of it, and ends with the slot's entry as it is
// in the table. The order keeps that of each stream, and what ended before
// something else started comes before it. It returns "" if there is one. The model
// is changed.
func (l *logs) order(model *protocol.Coordinator, slot int, begin, end protocol.SessionEntry) string {
	s := &search{logs: l, model: model, slot: slot, all: l.occurrencesOf(slot), seen: map[moment]bool{}}
	for left := []moment{{entry: begin}}; len(left) != 0; {
		now := s.settle(left[len(left)-1])
		left = left[:len(left)-1]
		if s.seen[now] {
			continue
		}
		s.seen[now] = true
		if now.progress() > s.furthest.progress() {
			s.furthest = now
		}
		if now.entry == end && s.finished(&now) {
			return ""
		}
		for _, stream := range slices.Backward(s.candidates(&now)) {
			if next, ok := s.step(&now, stream); ok {
				left = append(left, next)
			}
		}
	}
	return s.describe(end)
}

// settle takes all steps that change nothing, now or later: if some order explains
// the rest, so does one that begins with them. Only an acknowledgement of a version
// that is still to come changes nothing now, and something later.
func (s *search) settle(now moment) moment {
	for again := true; again; {
		again = false
		for _, stream := range s.candidates(&now) {
			in := s.all[stream][now.at[stream]].in
			next, ok := s.step(&now, stream)
			if ok && next.entry == now.entry && (in.Kind != kindAck || in.Seq <= now.entry.Seq) {
				now, again = next, true
				break
			}
		}
	}
	return now
}

// step returns the moment after the next occurrence of a stream, and whether the
// model explains that one.
func (s *search) step(now *moment, stream int) (moment, bool) {
	entry, ok := s.explain(&s.all[stream][now.at[stream]], now.entry)
	next := moment{now.at, entry}
	next.at[stream]++
	return next, ok
}

func (m *moment) progress() (n uint32) {
	for _, at := range m.at {
		n += at
	}
	return n
}

func (s *search) finished(m *moment) bool {
	for stream, at := range m.at {
		if int(at) < len(s.all[stream]) {
			return false
		}
	}
	return true
}

// candidates returns the streams whose next occurrence may come next, the likeliest
// first: the one that started first.
func (s *search) candidates(m *moment) (candidates []int) {
	earliest := ^uint64(0)
	for stream, at := range m.at {
		if int(at) < len(s.all[stream]) {
			earliest = min(earliest, s.all[stream][at].end)
		}
	}
	start := func(stream int) uint64 { return s.all[stream][m.at[stream]].start }
	for stream, at := range m.at {
		if int(at) < len(s.all[stream]) && start(stream) <= earliest {
			i := 0
			for i < len(candidates) && start(candidates[i]) <= start(stream) {
				i++
			}
			candidates = slices.Insert(candidates, i, stream)
		}
	}
	return candidates
}

// explain has the model take the step. It returns the slot's entry after it, and
// whether the model does what was seen.
func (s *search) explain(o *occurrence, entry protocol.SessionEntry) (protocol.SessionEntry, bool) {
	s.model.Sessions[s.slot] = entry
	// The order of the slots among each other is that of the numbers given out.
	s.model.NextSeq = max(o.out.Seq, 1) - 1
	want := s.model.HandleFrame(o.frame())
	after := s.model.Sessions[s.slot]
	if want.Verdict == protocol.Drop {
		return after, *o.out == trafficOutput{}
	}
	var m protocol.Message
	if m.Unmarshal(want.Frame[protocol.FrameOverhead:]) != nil {
		return after, false
	}
	if o.in.Kind == kindReply && *o.out == (trafficOutput{}) {
		// A reply that is to re-drive a write looks at the slot twice: if the write
		// is committed in between, the reply is dropped. That is when it was handled.
		return after, o.in.Hops >= protocol.MaxHops && entry.Seq == o.in.Seq && entry.Acks == committedAcks
	}
	copies := trafficOutput{Count: 1}
	switch {
	case want.Verdict == protocol.Multicast:
		copies = s.logs.copies(want.Targets)
	case m.Type == protocol.Write || m.Type == protocol.Read:
		copies.Targets = 1 << m.Replica.Index()
	}
	return after, *o.out == trafficOutput{Time: o.out.Time, Type: uint8(m.Type), Status: uint8(m.Status), Hops: m.Hops,
		Seq: m.Version.Seq, Request: m.Request, Count: copies.Count, Surplus: copies.Surplus, Targets: copies.Targets}
}

// copies returns who gets a copy of a multicast to the targets, and how many are
// surplus: there is one for each member, which repeats the first target that is
// reached by the same device, or the first member if none of those is a target.
func (l *logs) copies(targets uint16) (out trafficOutput) {
	out.Targets = targets
	for _, wire := range l.spread {
		members := uint16(0)
		for i, other := range l.spread {
			if other == wire {
				members |= 1 << i
			}
		}
		if members&targets == 0 {
			out.Targets |= members & -members
		}
	}
	out.Count = uint8(bits.OnesCount16(out.Targets))
	out.Surplus = uint8(len(l.spread)) - out.Count
	return out
}

// frame is the input as traffic_test.bpf.c made it, as far as the model looks.
func (o *occurrence) frame() []byte {
	session := protocol.MintSessionID(1, 1, int(o.in.Slot))
	m := protocol.Message{Session: session, Request: o.in.Request, Hops: o.in.Hops, Key: make([]byte, 8)}
	from := client(o.lane)
	switch o.in.Kind {
	case kindRead:
		m.Type = protocol.ReadRequest
		return protocol.NewFrame(&m, from, self)
	case kindWrite:
		m.Type, m.Op, m.Digest, m.KeyHash = protocol.WriteRequest, protocol.OpPut, trafficDigest(o.in.Request), trafficHash(o.in.Request)
		m.Value = make([]byte, 16)
		return protocol.NewFrame(&m, from, self)
	}
	who := replica(int(o.in.Replica))
	m.Replica, m.Epoch, m.Writer, m.Client = who.ID, 1, session, from
	m.Version = protocol.Version{Epoch: 1, Seq: o.in.Seq}
	switch {
	case o.in.Kind == kindAck:
		m.Type, m.Key = protocol.WriteAck, nil
	case o.in.Seq == 0:
		m.Type, m.Version = protocol.ReadReply, protocol.Version{}
	default:
		m.Type, m.Op = protocol.ReadReply, protocol.OpPut
	}
	return protocol.NewFrame(&m, who.Address, self)
}

// trafficHash and trafficDigest are what the frames of a request bear.
func trafficHash(request uint64) uint64   { return request * 0x9E3779B97F4A7C15 }
func trafficDigest(request uint64) uint32 { return uint32(request) * 2654435761 }

// describe says where the search for an order ended.
func (s *search) describe(end protocol.SessionEntry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "slot %d: no order of the model's steps explains what came out; after %d of them its entry is %+v (in the table in the end: %+v), and next are",
		s.slot, s.furthest.progress(), s.furthest.entry, end)
	for stream, at := range s.furthest.at {
		for _, o := range s.all[stream][at:min(int(at)+4, len(s.all[stream]))] {
			fmt.Fprintf(&b, "\n  lane %d: %+v => %+v", o.lane, *o.in, *o.out)
		}
	}
	return b.String()
}
