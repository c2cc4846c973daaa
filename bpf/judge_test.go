// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"strings"
	"testing"

	"dalio/protocol"
)

// event is a frame made at one time and what came of it, captured at another.
type event struct {
	lane           int
	made, captured uint64
	in             trafficInput
	out            trafficOutput
}

// The frames that these events are made of, all of session 0.
func writing(request uint64) trafficInput { return trafficInput{Kind: kindWrite, Request: request} }
func acknowledging(replica uint8) trafficInput {
	return trafficInput{Kind: kindAck, Replica: replica, Request: 1, Seq: 1}
}
func replying(hops uint8) trafficInput {
	return trafficInput{Kind: kindReply, Request: 1, Seq: 1, Hops: hops}
}

func multicastTo(targets uint16, count, surplus uint8) trafficOutput {
	return trafficOutput{Type: uint8(protocol.Write), Request: 1, Seq: 1, Targets: targets, Count: count, Surplus: surplus}
}
func answering(t protocol.MessageType, s protocol.Status, seq uint64) trafficOutput {
	return trafficOutput{Type: uint8(t), Status: uint8(s), Request: 1, Seq: seq, Count: 1}
}

// judgement is what judge says of events on one wire, after which the entry of
// session 0 has the request, and its version the acknowledgements.
func judgement(request uint64, acks uint16, events ...event) string {
	begin := shard(raceMembers)
	for slot := range raceSlots {
		begin.Sessions[slot].Owner = protocol.MintSessionID(1, 1, slot)
	}
	end := clone(begin)
	if request != 0 {
		e := &end.Sessions[0]
		e.Request, e.Seq, e.Acks, e.Op, e.KeyHash, e.Digest = request, 1, acks, protocol.OpPut, trafficHash(request), trafficDigest(request)
		end.NextSeq = 1
	}
	l := &logs{spread: make([]int, raceMembers)}
	for _, e := range events {
		e.in.Time = e.made
		if e.out.Count != 0 {
			e.out.Time = e.captured
		}
		l.in[e.lane] = append(l.in[e.lane], e.in)
		l.out[e.lane] = append(l.out[e.lane], e.out)
	}
	return strings.Join(l.judge(begin, end), "\n")
}

// TestJudge gives the judge of TestBothProcessors what few frames may and may not
// lead to.
func TestJudge(t *testing.T) {
	const all = committedAcks
	var (
		nothing   trafficOutput
		sequenced = event{0, 10, 20, writing(1), multicastTo(7, 3, 0)}
		first     = event{0, 30, 0, acknowledging(0), nothing}
		second    = event{1, 31, 0, acknowledging(1), nothing}
		committed = event{1, 40, 50, acknowledging(2), answering(protocol.WriteResponse, protocol.StatusOK, 1)}
		released  = answering(protocol.ReadResponse, protocol.StatusOK, 1)
		gated     = trafficOutput{Type: uint8(protocol.Read), Request: 1, Hops: 1, Targets: 2, Count: 1}
	)
	hopped := func(out trafficOutput, hops uint8) trafficOutput { out.Hops = hops; return out }
	for _, c := range []struct {
		name    string
		request uint64
		acks    uint16
		events  []event
		// wrong is part of a complaint, "" if there must be none.
		wrong string
	}{
		{"nothing", 0, 0, nil, ""},
		{"a commit", 1, all, []event{sequenced, first, second, committed}, ""},
		{"two copies of a write", 1, 0, []event{sequenced, {1, 12, 22, writing(1), multicastTo(7, 3, 0)}}, ""},
		{"a retry to who has not acknowledged", 1, 1, []event{sequenced, {1, 15, 35, writing(1), multicastTo(6, 2, 1)}, first}, ""},
		{"a gated reply", 1, 0, []event{sequenced, {1, 25, 30, replying(0), gated}}, ""},
		{"a release after the commit", 1, all, []event{sequenced, first, second, committed, {0, 45, 60, replying(0), released}}, ""},
		{"a re-drive that the commit forestalls", 1, all,
			[]event{sequenced, first, second, committed, {0, 45, 60, replying(protocol.MaxHops), nothing}}, ""},

		{"a first write that is busy", 0, 0, []event{{0, 10, 20, writing(1), answering(protocol.WriteResponse, protocol.StatusBusy, 0)}}, "no order"},
		{"a write that is lost", 0, 0, []event{{0, 10, 0, writing(1), nothing}}, "no order"},
		{"a copy too few", 1, 0, []event{{0, 10, 20, writing(1), multicastTo(3, 2, 0)}}, "no order"},
		{"a retry to who has acknowledged", 1, 1, []event{sequenced, first, {0, 35, 45, writing(1), multicastTo(7, 3, 0)}}, "no order"},
		{"a retry answered before the commit", 1, all, []event{sequenced, first, second,
			{0, 32, 38, writing(1), answering(protocol.WriteResponse, protocol.StatusOK, 1)}, committed}, "no order"},
		{"a reply that is let through", 1, 0, []event{sequenced, {1, 25, 30, replying(0), released}}, "before it was committed"},
		{"a reply that is lost", 1, 0, []event{sequenced, {1, 25, 0, replying(0), nothing}}, "no order"},
		{"a re-drive that is lost", 1, 0, []event{sequenced, {1, 25, 0, replying(protocol.MaxHops), nothing}}, "no order"},
		{"a hop too many", 1, 0, []event{sequenced, {1, 25, 30, replying(protocol.MaxHops), hopped(gated, protocol.MaxHops+1)}}, "no order"},
		{"a commit without an answer", 1, all, []event{sequenced, first, second, {1, 40, 0, acknowledging(2), nothing}}, "answered 0 times"},
		{"two answers to a commit", 1, all, []event{sequenced, first, second, committed,
			{0, 41, 51, acknowledging(2), answering(protocol.WriteResponse, protocol.StatusOK, 1)}}, "answered 2 times"},
		{"an acknowledgement that is forgotten", 1, 0, []event{sequenced, first}, "no order"},
		{"a frame for another one", 1, 0, []event{{0, 10, 20, writing(1), trafficOutput{Type: uint8(protocol.Write), Request: 1, Seq: 1,
			Targets: 7, Count: 3, Wrong: 1}}}, "not for their receiver"},
	} {
		got := judgement(c.request, c.acks, c.events...)
		if (got == "") != (c.wrong == "") || !strings.Contains(got, c.wrong) {
			t.Errorf("%s: the judge says %q, want %q", c.name, got, c.wrong)
		}
	}
}

// TestJudgeOfNumbers has version 2 given before version 1.
func TestJudgeOfNumbers(t *testing.T) {
	for late, wrong := range map[uint64]string{15: "", 30: "version 2 was given at 20 at the latest, and one before it not before 30"} {
		end := shard(raceMembers)
		end.NextSeq = 2
		l := &logs{spread: make([]int, raceMembers)}
		for lane, seq := range []uint64{2, 1} {
			end.Sessions[lane].Seq = seq
			made := []uint64{10, late}[lane]
			out := multicastTo(7, 3, 0)
			out.Seq, out.Time = seq, made+10
			l.in[lane] = append(l.in[lane], trafficInput{Kind: kindWrite, Slot: uint8(lane), Request: 1, Time: made})
			l.out[lane] = append(l.out[lane], out)
		}
		if got := strings.Join(l.promises(end), "\n"); got != wrong {
			t.Errorf("made at %d: the judge says %q, want %q", late, got, wrong)
		}
	}
}
