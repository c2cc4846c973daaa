// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"dalio/protocol"
)

// TestModelAgainstBytecode drives the reference model and the bytecode through
// the same frames, and compares verdict, reason, action, output, targets and the
// whole state after each.
func TestModelAgainstBytecode(t *testing.T) {
	dp := load(t, "")
	var last *world
	t.Cleanup(func() { explain(t, dp, last) })
	// Some branches are reached a few times only, so by chance they may be missed.
	var missed []string
	for try := 0; try < 3 && (try == 0 || len(missed) > 0); try++ {
		rapid.Check(t, func(t *rapid.T) {
			w := newWorld(t, dp, anyState(t))
			w.model, last = clone(w.start), w
			t.Repeat(rapid.StateMachineActions(w))
		})
		if t.Failed() {
			return
		}
		missed = uncovered(t, dp)
	}
	if len(missed) > 0 {
		t.Errorf("the random walks never reached %v", missed)
	}
}

// uncovered returns the branches of the bytecode that the random walks have missed.
func uncovered(t *testing.T, dp *DataPlane) (missed []string) {
	counters, err := dp.Counters()
	if err != nil {
		t.Fatal(err)
	}
	// These have tests of their own: hardly a frame that is handled alone reaches them.
	elsewhere := []string{"contended", "gated", "internal", "lease_expired", "clones", "surplus", "redirected", "learned", "stranded"}
	for _, counted := range []map[string]uint64{counters.Drops, counters.Actions, counters.Activities} {
		for name, n := range counted {
			if n == 0 && name != "none" && !slices.Contains(elsewhere, name) {
				missed = append(missed, name)
			}
		}
	}
	t.Logf("drops %v", counters.Drops)
	t.Logf("actions %v", counters.Actions)
	t.Logf("activities %v", counters.Activities)
	return missed
}

// anyState draws where a run begins: an ordinary shard, or one near the ends of
// its numbers and with sessions left by an earlier time.
func anyState(t *rapid.T) *protocol.Coordinator {
	c := shard(rapid.SampledFrom([]int{3, 3, 3, 1, 2, 5, 16, 0}).Draw(t, "members"))
	// A known replica that is no member, and so neither awaited nor asked.
	c.Known[14] = replica(14)
	if rapid.IntRange(0, 2).Draw(t, "special") != 0 {
		return c
	}
	c.Serving &= rapid.Uint16().Draw(t, "serving")
	c.Epoch = rapid.SampledFrom([]protocol.Epoch{1, 7, 1 << 24, 1<<24 + 1, 1<<32 - 1}).Draw(t, "epoch")
	c.NextSeq = rapid.SampledFrom([]uint64{100, protocol.MaxSeq - 2, protocol.MaxSeq - 1, protocol.MaxSeq}).Draw(t, "next seq")
	c.Tick = rapid.SampledFrom([]uint32{0, 1, 5, 1<<32 - 1}).Draw(t, "tick")
	kinds := []func(int, *protocol.Coordinator) protocol.SessionEntry{neverUsed, lastOfSlot, ofEarlierEpoch, stuck}
	if rapid.Bool().Draw(t, "alike") {
		i, _ := pick(t, kinds, "slots")
		kinds = kinds[i : i+1]
	}
	for slot := range c.Sessions {
		_, kind := pick(t, kinds, "slot")
		c.Sessions[slot] = kind(slot, c)
	}
	return c
}

func neverUsed(int, *protocol.Coordinator) protocol.SessionEntry { return protocol.SessionEntry{} }

// lastOfSlot has used up the session ids of its slot.
func lastOfSlot(slot int, c *protocol.Coordinator) protocol.SessionEntry {
	return protocol.SessionEntry{Owner: protocol.MintSessionID(c.Epoch&0xFFFFFF, 0xFFFF, slot), Nonce: 9, Tick: c.Tick - 9}
}

func ofEarlierEpoch(slot int, c *protocol.Coordinator) protocol.SessionEntry {
	return protocol.SessionEntry{Owner: protocol.MintSessionID((c.Epoch-1)&0xFFFFFF, 12, slot), Nonce: 9, Request: 3,
		Seq: 40 + uint64(slot), Acks: committedAcks, Op: protocol.OpPut, KeyHash: 1 << 63, Digest: 1 << 31, Tick: c.Tick - 9}
}

// stuck has a write that nobody will finish.
func stuck(slot int, c *protocol.Coordinator) protocol.SessionEntry {
	return protocol.SessionEntry{Owner: protocol.MintSessionID(c.Epoch&0xFFFFFF, 2, slot), Nonce: 9, Request: 3,
		Seq: 40 + uint64(slot), Op: protocol.OpPut, Tick: c.Tick - 9}
}

func clone(c *protocol.Coordinator) *protocol.Coordinator {
	out := *c
	out.Sessions = slices.Clone(c.Sessions)
	return &out
}

// handle runs the bytecode on the frame, and asks the model or the judge about it.
func (w *world) handle(t *rapid.T, frame []byte) protocol.Outcome {
	w.script = append(w.script, fmt.Sprintf("frame %x", frame))
	if w.crossroads != nil {
		return w.crossroads.handle(t, w, frame)
	}
	got, err := w.dp.HandleFrame(frame)
	if err != nil {
		t.Fatal(err)
	}
	complaint := examine(w.dp, w.model, w.judge, frame, got)
	if complaint == "" && w.witness != nil {
		complaint = w.witness(frame, got)
	}
	if complaint != "" {
		t.Fatalf("%s: %s", action(frame), complaint)
	}
	return got
}

// examine returns what the model and the judge, as far as there are such, say
// against an outcome of the bytecode; "" means nothing.
func examine(dp *DataPlane, model *protocol.Coordinator, judge *judge, frame []byte, got protocol.Outcome) string {
	if model != nil {
		if difference := compare(dp, model, frame, got); difference != "" {
			return difference
		}
	}
	if judge != nil {
		return judge.see(frame, got)
	}
	return ""
}

// action names the handler that a frame is for.
func action(frame []byte) string {
	if len(frame) > protocol.FrameOverhead+3 {
		switch kind := frameType(frame); kind {
		case protocol.OpenRequest, protocol.WriteRequest, protocol.WriteAck, protocol.ReadRequest, protocol.ReadReply:
			return "Handle" + kind.String()
		}
	}
	return "Forge"
}

// compare gives the frame to the model as well and says in what its outcome and
// state differ from those of the bytecode; "" means in nothing.
func compare(dp *DataPlane, model *protocol.Coordinator, frame []byte, got protocol.Outcome) string {
	return differ(dp, model, got, model.HandleFrame(bytes.Clone(frame)))
}

// differ compares an outcome with the one that the model led to expect, and the
// states.
func differ(dp *DataPlane, model *protocol.Coordinator, got, want protocol.Outcome) string {
	switch {
	case got.Verdict != want.Verdict || got.Reason != want.Reason || got.Action != want.Action:
		return fmt.Sprintf("the bytecode says %v (%v) in %q, the model %v (%v) in %q",
			got.Verdict, got.Reason, got.Action, want.Verdict, want.Reason, want.Action)
	case !bytes.Equal(got.Frame, want.Frame):
		return fmt.Sprintf("the outputs differ:\nbytecode %x\nmodel    %x", got.Frame, want.Frame)
	case got.Targets != want.Targets:
		return fmt.Sprintf("the bytecode multicasts to %016b, the model to %016b", got.Targets, want.Targets)
	}
	state, err := dp.State()
	if err != nil {
		return err.Error()
	}
	for slot := range model.Sessions {
		if state.Sessions[slot] != model.Sessions[slot] {
			return fmt.Sprintf("slot %d differs:\nbytecode %+v\nmodel    %+v", slot, state.Sessions[slot], model.Sessions[slot])
		}
	}
	rest := *model
	rest.Sessions, state.Sessions = nil, nil
	if !reflect.DeepEqual(state, &rest) {
		return fmt.Sprintf("the states differ:\nbytecode %+v\nmodel    %+v", state, model)
	}
	return ""
}

// Check holds between any two actions; there is nothing that handle has not
// looked at already.
func (w *world) Check(*rapid.T) {}
