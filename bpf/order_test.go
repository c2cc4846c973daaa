// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"dalio/protocol"
)

// occurrence is one input of a run with what came of it. It was handled at some
// moment from start to end.
type occurrence struct {
	in         *trafficInput
	out        *trafficOutput
	start, end uint64
}

// occurrencesOf returns what concerns a slot, for each lane in the order in which
// it was handled: a wire keeps a lane's frames in order, so each was handled
// before anything came of it or of one after it.
func (l *logs) occurrencesOf(slot int) (lanes [trafficLanes][]occurrence) {
	for lane := range l.in {
		end := ^uint64(0)
		for i := len(l.in[lane]) - 1; i >= 0; i-- {
			in, out := &l.in[lane][i], &l.out[lane][i]
			if out.Count != 0 {
				end = min(end, out.Time)
			}
			if int(in.Slot) == slot && in.Kind != kindRead {
				lanes[lane] = append(lanes[lane], occurrence{in, out, in.Time, end})
			}
		}
		slices.Reverse(lanes[lane])
	}
	return lanes
}

// moment is how far each lane has got, and the slot's entry then.
type moment struct {
	at    [trafficLanes]int
	entry protocol.SessionEntry
}

// order looks for an order of what concerns a slot, in which the model makes of
// each input what was seen to come of it, and ends with the slot's entry as it is
// in the table. The order keeps that of each lane, and what ended before something
// else started comes before it. It returns "" if there is one.
func (l *logs) order(model *protocol.Coordinator, slot int, begin, end protocol.SessionEntry) string {
	lanes := l.occurrencesOf(slot)
	start := moment{entry: begin}
	seen := map[moment]bool{start: true}
	furthest := start
	for stack := []moment{start}; len(stack) != 0; {
		now := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if now.progress() > furthest.progress() {
			furthest = now
		}
		if now.finished(&lanes) {
			if now.entry == end {
				return ""
			}
			continue
		}
		for _, lane := range now.candidates(&lanes) {
			o := &lanes[lane][now.at[lane]]
			entry, ok := o.explain(model, slot, now.entry)
			if !ok {
				continue
			}
			next := moment{at: now.at, entry: entry}
			next.at[lane]++
			if !seen[next] {
				seen[next] = true
				stack = append(stack, next)
			}
		}
	}
	return furthest.describe(&lanes, slot, end)
}

func (m *moment) progress() (n int) {
	for _, at := range m.at {
		n += at
	}
	return n
}

func (m *moment) finished(lanes *[trafficLanes][]occurrence) bool {
	for lane, at := range m.at {
		if at < len(lanes[lane]) {
			return false
		}
	}
	return true
}

// candidates returns the lanes whose next occurrence may come next, the likeliest
// last: the one that started first.
func (m *moment) candidates(lanes *[trafficLanes][]occurrence) (candidates []int) {
	earliest := ^uint64(0)
	for lane, at := range m.at {
		if at < len(lanes[lane]) {
			earliest = min(earliest, lanes[lane][at].end)
		}
	}
	for lane, at := range m.at {
		if at < len(lanes[lane]) && lanes[lane][at].start <= earliest {
			candidates = append(candidates, lane)
		}
	}
	slices.SortFunc(candidates, func(a, b int) int {
		if lanes[a][m.at[a]].start > lanes[b][m.at[b]].start {
			return -1
		}
		return 1
	})
	return candidates
}

// explain has the model take the step. It returns the slot's entry after it, and
// whether the model does what was seen.
func (o *occurrence) explain(model *protocol.Coordinator, slot int, entry protocol.SessionEntry) (protocol.SessionEntry, bool) {
	model.Sessions[slot] = entry
	// The order of the slots among each other is that of the numbers given out.
	model.NextSeq = o.out.Seq - 1
	want := model.HandleFrame(o.frame())
	after := model.Sessions[slot]
	switch want.Verdict {
	case protocol.Multicast, protocol.Transmit:
		var m protocol.Message
		if m.Unmarshal(want.Frame[protocol.FrameOverhead:]) != nil {
			return after, false
		}
		if m.Type == protocol.Write {
			if o.out.Count == 0 && o.in.Kind == kindReply {
				return after, true // See below.
			}
			if want.Verdict == protocol.Transmit {
				want.Targets = 1 << m.Replica.Index()
			}
			return after, o.out.Type == uint8(protocol.Write) &&
				o.out.Targets == want.Targets && int(o.out.Count) == bits.OnesCount16(want.Targets) &&
				o.out.Seq == m.Version.Seq && o.out.Request == m.Request
		}
		if o.out.Count == 0 && o.in.Kind == kindReply && entry.Acks == committedAcks {
			// A reply looks at its slot twice when it re-drives: a write that
			// commits in between is not sent again, and the reply is dropped.
			return after, true
		}
		targets := uint16(0)
		if m.Type == protocol.Read {
			targets = 1 << m.Replica.Index()
		}
		return after, o.out.Count == 1 && o.out.Type == uint8(m.Type) && o.out.Status == uint8(m.Status) && o.out.Hops == m.Hops &&
			o.out.Seq == m.Version.Seq && o.out.Request == m.Request && o.out.Targets == targets
	}
	return after, o.out.Count == 0
}

// frame is the input as traffic_test.bpf.c made it, as far as the model looks.
func (o *occurrence) frame() []byte {
	session := protocol.MintSessionID(1, 1, int(o.in.Slot))
	m := protocol.Message{Session: session, Request: o.in.Request, Hops: o.in.Hops}
	from := client(0)
	if o.in.Kind == kindWrite {
		m.Type, m.Op, m.Digest, m.KeyHash = protocol.WriteRequest, protocol.OpPut, trafficDigest(o.in.Request), trafficHash(o.in.Request)
		m.Key, m.Value = make([]byte, 8), make([]byte, 16)
		return protocol.NewFrame(&m, from, self)
	}
	who := replica(int(o.in.Replica))
	from = who.Address
	m.Replica, m.Epoch, m.Writer, m.Client = who.ID, 1, session, client(0)
	m.Version = protocol.Version{Epoch: 1, Seq: o.in.Seq}
	m.Type = protocol.WriteAck
	if o.in.Kind == kindReply {
		m.Type, m.Key = protocol.ReadReply, make([]byte, 8)
		if m.Op = protocol.OpPut; o.in.Seq == 0 {
			m.Op, m.Version = protocol.OpNone, protocol.Version{}
		}
	}
	return protocol.NewFrame(&m, from, self)
}

// describe says where the search for an order ended.
func (m *moment) describe(lanes *[trafficLanes][]occurrence, slot int, end protocol.SessionEntry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "slot %d: no order of the model's steps explains what came out; after %d of them its entry is %+v (in the table in the end: %+v), and next are",
		slot, m.progress(), m.entry, end)
	for lane, at := range m.at {
		for _, o := range lanes[lane][at:min(at+4, len(lanes[lane]))] {
			fmt.Fprintf(&b, "\n  lane %d: %+v => %+v", lane, *o.in, *o.out)
		}
	}
	return b.String()
}
