// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"dalio/protocol"
)

// TestTreadmill gives a treadmill and a data plane the same frames: the quick way of
// running a program and of comparing states must tell what the other tells.
func TestTreadmill(t *testing.T) {
	mill, err := LoadTreadmill(Options{Self: self, MaxSessions: testSlots, SessionTTL: testTTL, Lease: testLease})
	if err != nil {
		t.Fatal(err)
	}
	defer mill.Close()
	dp := load(t, "")
	start := busy()
	for _, frame := range plainFrames(start) {
		restore(t, dp, start)
		restore(t, mill.DataPlane, start)
		want, err := dp.HandleFrame(bytes.Clone(frame))
		if err != nil {
			t.Fatal(err)
		}
		got, err := mill.Handle(frame)
		if err != nil || !bytes.Equal(got.Frame, want.Frame) {
			t.Fatalf("frame %x:\ngot  %x (%v)\nwant %x", frame, got.Frame, err, want.Frame)
		}
		if got.Frame, want.Frame = nil, nil; !reflect.DeepEqual(got, want) {
			t.Fatalf("frame %x: %+v, want %+v", frame, got, want)
		}
		state, err := dp.State()
		if err != nil {
			t.Fatal(err)
		}
		for _, differs := range []func(*protocol.Coordinator) (string, error){mill.Differs, mill.DiffersAnywhere} {
			if difference, err := differs(state); err != nil || difference != "" {
				t.Fatalf("frame %x: %s (%v)", frame, difference, err)
			}
		}
	}
	for what, change := range map[string]func(*protocol.Coordinator){
		"slot 7":      func(c *protocol.Coordinator) { c.Sessions[7].Tick++ },
		"last number": func(c *protocol.Coordinator) { c.NextSeq++ },
		"heard at":    func(c *protocol.Coordinator) { c.Answered[15]++ },
		"lease held":  func(c *protocol.Coordinator) { c.Held++ },
		"states":      func(c *protocol.Coordinator) { c.Tick++ },
	} {
		restore(t, mill.DataPlane, start)
		other := clone(start)
		change(other)
		difference, err := mill.Differs(other)
		if what == "states" {
			difference, err = mill.DiffersAnywhere(other)
		}
		if err != nil || !strings.Contains(difference, what) {
			t.Errorf("another %s: %q (%v)", what, difference, err)
		}
	}
}

func BenchmarkTreadmill(b *testing.B) {
	mill, err := LoadTreadmill(Options{Self: self, MaxSessions: testSlots, SessionTTL: testTTL, Lease: testLease})
	if err != nil {
		b.Fatal(err)
	}
	defer mill.Close()
	c := busy()
	restore(b, mill.DataPlane, c)
	m := readRequest(1, "k")
	frame := protocol.NewFrame(&m, client(0), self)
	for b.Loop() {
		if _, err := mill.Handle(frame); err != nil {
			b.Fatal(err)
		}
		if difference, err := mill.Differs(c); err != nil || difference != "" {
			b.Fatal(difference, err)
		}
	}
}
