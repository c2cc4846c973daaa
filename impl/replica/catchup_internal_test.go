// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"testing"
	"time"

	"dalio/impl/replica/control"
	"dalio/protocol"
)

// TestThrottle: a catch-up without a rate is not held up, and one with a rate waits once
// for many small records.
func TestThrottle(t *testing.T) {
	soon, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 100 {
		if err := newThrottle(0).wait(soon, burst); err != nil {
			t.Fatalf("without a rate: %v", err)
		}
	}
	slow := newThrottle(1) // Waits for longer than there is time.
	if err := slow.wait(soon, portion-1); err != nil || slow.limiter.Tokens() != burst {
		t.Errorf("before a portion is full: %v, %v bytes of the burst left", err, slow.limiter.Tokens())
	}
	if err := slow.wait(soon, 1); err != nil || slow.limiter.Tokens() > burst-portion+100 {
		t.Errorf("with the first portion: %v, %v bytes of the burst left", err, slow.limiter.Tokens())
	}
	for range burst/portion - 1 {
		if err := slow.wait(soon, portion); err != nil {
			t.Fatalf("within the burst: %v", err)
		}
	}
	if err := slow.wait(soon, portion); err == nil {
		t.Error("beyond the burst it did not wait")
	}
}

// TestCatchUpOfAnotherMembership changes nothing: it may run on for a while when its
// membership has ended.
func TestCatchUpOfAnotherMembership(t *testing.T) {
	s, err := Listen("127.0.0.1:0", Options{ID: 17, Epoch: 3})
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	defer func() {
		if err := s.Serve(ended); err != nil {
			t.Error(err)
		}
	}()
	key, r := []byte("k"), protocol.Record{Version: protocol.Version{Epoch: 3, Seq: 1}, Op: protocol.OpPut}
	for what, c := range map[string]control.CatchUp{"another id": {ID: 33, Epoch: 3}, "another epoch": {ID: 17, Epoch: 2}} {
		if changed, err := s.merge(&catchUp{request: c}, key, r, protocol.SessionRecord{}); err == nil || changed {
			t.Errorf("%s: changed %v, %v", what, changed, err)
		}
	}
	if got := s.store.Get(key); got.Op != protocol.OpNone {
		t.Errorf("it holds %+v", got)
	}
	ours := &catchUp{request: control.CatchUp{ID: 17, Epoch: 3}}
	if changed, err := s.merge(ours, key, r, protocol.SessionRecord{}); err != nil || !changed {
		t.Errorf("its own: changed %v, %v", changed, err)
	}
	s.replica.Fenced = true
	if _, err := s.merge(ours, key, r, protocol.SessionRecord{}); err == nil {
		t.Error("it goes on when the replica is fenced")
	}
}
