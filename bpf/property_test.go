// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"testing"

	"pgregory.net/rapid"

	"dalio/protocol"
)

// judge holds the bytecode to what the protocol promises, without the model: it
// knows only which acknowledgements were handed over. It presumes correct senders.
func (w *world) judge(t *rapid.T, in protocol.Message, out protocol.Outcome) {
	if w.model != nil || out.Verdict != protocol.Transmit {
		return
	}
	m := mustDecode(t, out.Frame)
	missing := w.start.Members &^ w.acked[m.Version.Seq]
	if m.Version.Epoch != w.start.Epoch || missing == 0 {
		return
	}
	switch {
	case m.Type == protocol.ReadResponse && m.Status == protocol.StatusOK:
		t.Fatalf("HandleReadReply: version %v of key %q was released, but the members %016b have not acknowledged it\n"+
			"regression case:\n%s", m.Version, m.Key, missing, w.regression())
	case m.Type == protocol.WriteResponse && m.Status == protocol.StatusOK:
		t.Fatalf("%v: version %v was answered as committed, but the members %016b have not acknowledged it\n"+
			"regression case:\n%s", in.Type, m.Version, missing, w.regression())
	}
}

// TestNothingUncommittedIsSeen drives the bytecode alone, with correct senders
// over a network that loses, duplicates and reorders.
func TestNothingUncommittedIsSeen(t *testing.T) {
	dp := load(t, "")
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, dp, shard(rapid.IntRange(1, 4).Draw(t, "members")))
		actions := rapid.StateMachineActions(w)
		delete(actions, "Forge")
		t.Repeat(actions)
	})
}
