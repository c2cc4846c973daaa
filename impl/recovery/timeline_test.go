// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"dalio/impl/load"
	"dalio/traces"
)

const ms = time.Millisecond

// TestFirstOwesNothingToWhatIsGone: an operation that was begun before the failure
// may have been served by what failed, and one that did not end OK was not served.
func TestFirstOwesNothingToWhatIsGone(t *testing.T) {
	ops := []Op{
		{Write: true, OK: true, Begun: 9 * ms, Ended: 11 * ms},
		{Write: true, OK: false, Begun: 11 * ms, Ended: 12 * ms},
		{Write: false, OK: true, Begun: 11 * ms, Ended: 13 * ms},
		{Write: true, OK: true, Begun: 10 * ms, Ended: 50 * ms},
		{Write: true, OK: true, Begun: 20 * ms, Ended: 60 * ms},
	}
	if o, ok := First(ops, true, 10*ms); !ok || o.Ended != 50*ms {
		t.Errorf("the first write is %+v, %v", o, ok)
	}
	if o, ok := First(ops, false, 10*ms); !ok || o.Ended != 13*ms {
		t.Errorf("the first read is %+v, %v", o, ok)
	}
	if o, ok := First(ops, true, 21*ms); ok {
		t.Errorf("a write of nobody: %+v", o)
	}
}

func TestGap(t *testing.T) {
	var ops []Op
	for at := ms; at <= 100*ms; at += ms {
		ops = append(ops, Op{OK: true, Ended: at}, Op{Write: true, OK: at < 40*ms || at >= 75*ms, Ended: at})
	}
	for _, c := range []struct{ from, to, want time.Duration }{
		{0, 30 * ms, ms},
		{0, 100 * ms, 36 * ms},
		{50 * ms, 100 * ms, 25 * ms}, // From its beginning on.
		{0, 60 * ms, 21 * ms},        // To its end.
		{0, 130 * ms, 36 * ms},
	} {
		if got := Gap(ops, c.from, c.to); got != c.want {
			t.Errorf("gap from %v to %v: %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

func TestRates(t *testing.T) {
	var ops []Op
	for at := ms; at < 3500*ms; at += ms {
		ops = append(ops, Op{OK: at < 1000*ms || at >= 2000*ms, Ended: at})
	}
	if got := Rates(ops, time.Second); !slices.Equal(got, []float64{999, 0, 1000}) {
		t.Errorf("rates %v", got)
	}
	if got := Rate(ops, 2*time.Second, 3*time.Second); got != 1000 {
		t.Errorf("rate %v", got)
	}
}

// slow is a client whose reads never succeed.
type slow struct{}

func (slow) Do(_ context.Context, f, _, _ string) load.Answer {
	time.Sleep(ms)
	if f == traces.Read {
		return load.Answer{Outcome: traces.Info}
	}
	return load.Answer{Outcome: traces.OK}
}

func TestTimelineSeesWhatClientsSee(t *testing.T) {
	timeline := NewTimeline()
	c := timeline.Watch(slow{})
	c.Do(t.Context(), traces.Write, "k", "v")
	index, at := timeline.Count(), timeline.Now()
	c.Do(t.Context(), traces.Read, "k", "")
	c.Do(t.Context(), traces.Write, "k", "w")
	o, err := timeline.Await(t.Context(), index, true, at)
	if err != nil || o.Begun < at || o.Ended < o.Begun+ms {
		t.Errorf("%+v, %v", o, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*ms)
	defer cancel()
	if _, err := timeline.Await(ctx, index, false, at); err == nil || !strings.Contains(err.Error(), "no read") {
		t.Errorf("a read that was never served: %v", err)
	}
}
