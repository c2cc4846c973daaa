// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"
	"time"

	"dalio/bpf"
)

// TestShapes has lanes do mixed work with the least and the most of what settings allow, and
// no answer may be wrong.
func TestShapes(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"ten million keys": func(s *Settings) { s.Keys = 10_000_000 },
		"an odd number":    func(s *Settings) { s.Keys = 10_007 },
		"one key":          func(s *Settings) { s.Keys = 1 },
		"large values":     func(s *Settings) { s.ValueSize = maxSizes - s.KeySize },
		"one client host":  func(s *Settings) { s.ClientHosts = 1 },
		"64 client hosts":  func(s *Settings) { s.ClientHosts, s.Lanes = 64, 64 },
		"seven replicas":   func(s *Settings) { s.Replicas = 7 },
	} {
		t.Run(name, func(t *testing.T) {
			s := testSettings(t)
			change(&s)
			_, running, around := newScene(t, s, Dalio{})
			mustComplete(t, around, mixed, 20_000)
			sessions, err := running.(inKernel).Closer.(*bpf.DataPlane).Sessions()
			if err != nil {
				t.Fatal(err)
			}
			keys := map[uint64]bool{}
			for _, session := range sessions {
				if session.Request > 0 {
					keys[session.KeyHash] = true
				}
			}
			if n := len(keys); n > s.Keys || s.Keys > 10_000 && n < s.Lanes/2 {
				t.Errorf("the last writes of %d lanes are of %d keys, and there are %d", s.Lanes, n, s.Keys)
			}
		})
	}
}

// TestPending has every slot of the session table hold a write that stays pending, each of
// another key, and reads go on: those that meet such a write are sent to the replica
// that has lost it.
func TestPending(t *testing.T) {
	s := testSettings(t)
	const pending = 128
	s.Keys, s.Lanes = pending, pending+64
	site, running, around := newScene(t, s, Dalio{Sessions: pending})
	thread, err := site.receiver(site.coordinatorName, s.CoordinatorCPU)
	if err != nil {
		t.Fatal(err)
	}
	var before, after instant
	err = site.Do(func() (err error) {
		before, after, err = around.conduct(t.Context(), Work{Pending: pending}, []int{thread}, nil, Timing{Window: 50 * time.Millisecond})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := running.(inKernel).Closer.(*bpf.DataPlane).PendingWrites()
	if err != nil || n != pending {
		t.Errorf("%d writes are pending (%v), want %d, one in each slot", n, err, pending)
	}
	reads, hops := after.counts.Reads, after.counts.Hops
	// Two of three replicas hold the pending write.
	if share := float64(hops) / float64(reads); share < 0.6 || share > 0.74 {
		t.Errorf("%d reads, %d of them sent on; want two of three", reads, hops)
	}
	if after.counts.Writes != before.counts.Writes {
		t.Errorf("%d writes completed", after.counts.Writes-before.counts.Writes)
	}
}
