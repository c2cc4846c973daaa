// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"dalio/protocol"
)

// judge holds the bytecode to what the protocol promises, without the model: it
// knows only which acknowledgements were handed over. It presumes that senders
// are correct.
type judge struct {
	epoch   protocol.Epoch
	members uint16
	// acked has, for each version of the epoch, the members that acknowledged it,
	// and done those which all members there were then had acknowledged.
	acked map[uint64]uint16
	done  map[uint64]bool
}

func newJudge(start *protocol.Coordinator) *judge {
	return &judge{epoch: start.Epoch, members: start.Members, acked: map[uint64]uint16{}, done: map[uint64]bool{}}
}

// see takes a frame and what the bytecode made of it, and returns a complaint.
func (j *judge) see(frame []byte, got protocol.Outcome) string {
	var in, out protocol.Message
	if in.Unmarshal(frame[protocol.FrameOverhead:]) == nil && in.Type == protocol.WriteAck &&
		in.Epoch == j.epoch && in.Version.Epoch == j.epoch {
		j.acked[in.Version.Seq] |= 1 << in.Replica.Index()
		j.covers(in.Version.Seq)
	}
	if got.Verdict != protocol.Transmit || out.Unmarshal(got.Frame[protocol.FrameOverhead:]) != nil || out.Status != protocol.StatusOK {
		return ""
	}
	if out.Version.Epoch != j.epoch || j.covers(out.Version.Seq) {
		return ""
	}
	missing := j.members &^ j.acked[out.Version.Seq]
	switch out.Type {
	case protocol.ReadResponse:
		return fmt.Sprintf("version %v of key %q was released, but the members %016b have not acknowledged it",
			out.Version, out.Key, missing)
	case protocol.WriteResponse:
		return fmt.Sprintf("version %v was answered as committed, but the members %016b have not acknowledged it",
			out.Version, missing)
	}
	return ""
}

// covers says whether all members, now or at some time before, have acknowledged.
func (j *judge) covers(seq uint64) bool {
	if j.members != 0 && j.members&^j.acked[seq] == 0 {
		j.done[seq] = true
	}
	return j.done[seq]
}

// TestNothingUncommittedIsSeen drives the bytecode alone, with correct senders
// over a network that loses, duplicates and reorders.
func TestNothingUncommittedIsSeen(t *testing.T) {
	dp := load(t, "")
	var last *world
	t.Cleanup(func() { explain(t, dp, last) })
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, dp, shard(rapid.IntRange(1, 4).Draw(t, "members")))
		w.judge, last = newJudge(w.start), w
		actions := rapid.StateMachineActions(w)
		delete(actions, "Forge")
		delete(actions, "ChangeEpoch")
		t.Repeat(actions)
	})
}
