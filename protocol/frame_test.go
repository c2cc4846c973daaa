// SPDX-License-Identifier: Apache-2.0

package protocol

import "testing"

// TestFramesOfAWrite: each member gets a frame of its own, under its own id; if there
// is only one member, what arrived becomes that frame.
func TestFramesOfAWrite(t *testing.T) {
	for _, replicas := range []int{3, 1} {
		l := newLab(replicas, 8)
		m := put(l.open(t, 0), 1, "k", "v")
		out := l.HandleFrame(NewFrame(&m, clientAddress, l.Self))
		frames, verdict := out.Clones, Multicast
		if replicas == 1 {
			frames, verdict = [][]byte{out.Frame}, Transmit
		}
		if out.Verdict != verdict || out.Action != "HandleWriteRequest" || len(frames) != replicas {
			t.Fatalf("with %d members: %d frames, %+v", replicas, len(frames), out)
		}
		for i, f := range frames {
			var w Message
			if err := w.Unmarshal(f[FrameOverhead:]); err != nil {
				t.Fatal(err)
			}
			if !frame(f).isFor(l.Known[i].Address) || !frame(f).lengthsFit() || frame(f).source() != l.Self {
				t.Errorf("with %d members: that for member %d is addressed % x", replicas, i, f[:FrameOverhead])
			}
			if w.Type != Write || w.Replica != l.Known[i].ID || string(w.Value) != "v" {
				t.Errorf("with %d members: member %d gets %+v", replicas, i, w)
			}
		}
	}
}
