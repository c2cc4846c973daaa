// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"testing"
	"time"

	"dalio/impl/replica/control"
)

// TestWhoFailsIsLeftAlone: longer each time, unless it went on for some time before.
func TestWhoFailsIsLeftAlone(t *testing.T) {
	f, now := &follower{}, time.Now()
	fails := func(after time.Duration) time.Duration {
		now = now.Add(after)
		f.hold(now)
		now = f.held
		return holdFor(f.failures)
	}
	for i, step := range []struct{ after, held time.Duration }{
		{0, holdMin},
		{forgiven * holdMin / 2, 2 * holdMin},
		{forgiven * holdMin, 4 * holdMin},
		{forgiven*4*holdMin + 1, holdMin},
		{forgiven*holdMin + 1, holdMin},
	} {
		if held := fails(step.after); held != step.held {
			t.Errorf("failure %d, %v after it was left alone: left alone for %v, want %v", i+1, step.after, held, step.held)
		}
	}
	for range 100 {
		fails(0)
	}
	if held := fails(0); held != holdMax {
		t.Errorf("after many failures it is left alone for %v, want %v", held, holdMax)
	}
}

func TestWhoCatchesUpIsAskedOften(t *testing.T) {
	now := time.Now()
	f := &follower{catchingUp: now}
	if got := f.interval(now); got != statusInterval {
		t.Errorf("one that does not catch up is asked every %v", got)
	}
	f.status.CatchUp.State = control.Running
	for after, want := range map[time.Duration]time.Duration{0: catchUpInterval, 400 * time.Millisecond: 100 * time.Millisecond, time.Minute: statusInterval} {
		if got := f.interval(now.Add(after)); got != want {
			t.Errorf("%v after it began to catch up it is asked every %v, want %v", after, got, want)
		}
	}
}
