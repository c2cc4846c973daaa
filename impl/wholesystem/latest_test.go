// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"math/rand/v2"
	"testing"

	"dalio/impl/load"
)

// TestLatest has inserts acknowledged in any order, and looks at what is read: only what was
// acknowledged, or filled, and mostly what came last.
func TestLatest(t *testing.T) {
	s := testSettings()
	s.Keys, s.Sockets = 24_000, 2
	drawn, random := drawKeys(s.Keys), rand.New(rand.NewPCG(1, 2))
	of := sources(load.YCSBD, s, drawn)
	all := []source{of(0), of(1)}
	held, open, order := map[uint32]bool{}, make([][]choice, len(all)), []uint32(nil)
	reads, recent, inserts := 0, 0, 0
	for range 100_000 {
		i := random.IntN(len(all))
		c, ok := all[i].next()
		if !ok {
			t.Fatal("there is nothing more to do")
		}
		switch {
		case c.write:
			if !c.inserted || int(c.key) >= s.Sockets*int(s.inserts()) {
				t.Fatalf("a write of %+v", c)
			}
			inserts++
			open[i] = append(open[i], c)
		case c.inserted:
			if !held[c.key] {
				t.Fatalf("a read of insert %d, which is not acknowledged", c.key)
			}
			reads++
			for _, key := range order[max(0, len(order)-100):] {
				if key == c.key {
					recent++
					break
				}
			}
		case int(c.key) >= s.Keys:
			t.Fatalf("a read of key %d of %d", c.key, s.Keys)
		default:
			reads++
		}
		// Some eight are open.
		if n := len(open[i]); n > 8 {
			at := random.IntN(n)
			done := open[i][at]
			open[i] = append(open[i][:at], open[i][at+1:]...)
			held[done.key] = true
			order = append(order, done.key)
			all[i].written(done)
		}
	}
	if len(held) != s.Sockets*int(s.inserts()) || inserts < 10*len(held) {
		t.Errorf("%d keys are inserted by %d writes, want %d and many more", len(held), inserts, s.Sockets*int(s.inserts()))
	}
	if share := float64(inserts) / 100_000; share < 0.045 || share > 0.055 {
		t.Errorf("%.3f of the operations are inserts", share)
	}
	// Zipf's law gives the last hundred nearly half.
	if share := float64(recent) / float64(reads); share < 0.3 || share > 0.6 {
		t.Errorf("%.2f of the reads are of the last hundred inserts", share)
	}
}

// TestRoomForInserts: replicas are told of the keys of all samples.
func TestRoomForInserts(t *testing.T) {
	s := Suite{Settings: DefaultSettings(), Contenders: make([]Contender, 3), Mixes: []load.Mix{load.YCSBA}}
	if n := s.keys(); n != 1_000_000 {
		t.Errorf("%d keys without inserts", n)
	}
	s.Mixes = append(s.Mixes, load.YCSBD)
	if n := s.keys(); n != 1_599_976 {
		t.Errorf("%d keys, want a sixtieth more for each of 36 samples", n)
	}
}
