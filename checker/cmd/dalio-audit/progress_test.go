// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"
)

// screen hands on what is printed, a print at a time.
type screen chan string

func (s screen) Write(b []byte) (int, error) {
	s <- string(b)
	return len(b), nil
}

// expect waits for a print of just that.
func (s screen) expect(t *testing.T, text string) {
	t.Helper()
	for deadline := time.After(10 * time.Second); ; {
		select {
		case printed := <-s:
			if printed == text {
				return
			}
		case <-deadline:
			t.Fatalf("nothing prints %q", text)
		}
	}
}

func TestProgressGoesOnUntilItIsErased(t *testing.T) {
	const erase = "\r\x1b[K"
	s := make(screen)
	p := &progress{quit: make(chan struct{}), over: make(chan struct{})}
	go p.watch(s, "h.jsonl", time.Millisecond)
	s.expect(t, erase+"h.jsonl: reading, 0s")
	p.notify(0, 1200)
	s.expect(t, erase+"h.jsonl: 0 of 1,200 keys judged, 0s")
	p.notify(1050, 1200)
	s.expect(t, erase+"h.jsonl: 1,050 of 1,200 keys judged, 0s")
	go p.stop()
	s.expect(t, erase)
	<-p.over
}
