// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"time"

	"dalio/protocol"
)

// onRig loads a rig, and keeps the goroutine on one processor.
func onRig(t *testing.T) *Rig {
	t.Helper()
	cpus, err := processors()
	if err == nil {
		err = pin(cpus[0])
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := LoadRig(Options{Self: self, MaxSessions: testSlots, SessionTTL: testTTL, Lease: testLease})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// TestRigAgainstModel gives a rig and the model the same frames, and compares all
// that leaves, the copies of multicasts included.
func TestRigAgainstModel(t *testing.T) {
	r := onRig(t)
	for range 2 {
		if err := r.Reset(); err != nil {
			t.Fatal(err)
		}
		c := shard(3)
		if err := r.SetClock(5 * time.Microsecond); err != nil {
			t.Fatal(err)
		}
		if err := r.Restore(c); err != nil {
			t.Fatal(err)
		}
		c.Now = 5000
		if err := r.SetClock(5 * time.Microsecond); err != nil {
			t.Fatal(err)
		}
		give := func(m protocol.Message, from protocol.Address) protocol.Message {
			t.Helper()
			frame := protocol.NewFrame(&m, from, self)
			want := c.HandleFrame(bytes.Clone(frame))
			got, err := r.Handle(frame)
			if err != nil || got.Verdict != want.Verdict || got.Reason != want.Reason || got.Action != want.Action {
				t.Fatalf("%v: %+v, %v; the model: %+v", m.Type, got, err, want)
			}
			frames := want.Clones
			if want.Verdict == protocol.Transmit {
				frames = [][]byte{want.Frame}
			}
			if !reflect.DeepEqual(got.Frames, frames) {
				t.Fatalf("%v: left %x, the model's %x", m.Type, got.Frames, frames)
			}
			if len(frames) == 0 {
				return protocol.Message{}
			}
			return mustDecode(t, got.Frames[0])
		}
		session := give(protocol.Message{Type: protocol.OpenRequest, Request: 77}, client(0)).Session
		for n := range uint64(3) {
			write := give(writeRequest(session, n+1, "k", fmt.Sprint(n)), client(0))
			for i := range 3 {
				ack := write
				ack.Type, ack.Replica, ack.Key, ack.Value = protocol.WriteAck, replica(i).ID, nil, nil
				give(ack, replica(i).Address)
			}
		}
		give(protocol.Message{Type: protocol.WriteAck, Epoch: 9}, replica(0).Address)
	}
}

// TestRigOptions: what the clone program's body was not built for is refused.
func TestRigOptions(t *testing.T) {
	for what, o := range map[string]Options{"several devices": {Self: self, SeveralDevices: true}, "events": {Self: self, Events: true}} {
		_, err := LoadRig(o)
		expectError(t, "a rig with "+what, err, ErrOptions)
	}
}
