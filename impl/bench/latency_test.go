// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"math"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dalio/protocol"
)

// TestQuantiles: a quantile is off by less than what one bucket is wide.
func TestQuantiles(t *testing.T) {
	var h histogram
	if !math.IsNaN(h.quantile(0.5)) {
		t.Errorf("the median of nothing is %v", h.quantile(0.5))
	}
	// Each bucket ends where the next begins.
	for i := range len(h) - 1 {
		start, width := bucketStart(i)
		if next, _ := bucketStart(i + 1); start+width != next || i >= 2<<timeBits && width/start > 1.0/(1<<timeBits) {
			t.Fatalf("bucket %d is from %v for %v, and the next begins at %v", i, start, width, next)
		}
	}
	find := func(ns float64) int {
		for i := range h {
			if start, width := bucketStart(i); ns < start+width {
				return i
			}
		}
		t.Fatalf("no bucket for %v ns", ns)
		return 0
	}
	const n = 1000
	for i := range n {
		h[find(10_000+10*float64(i))]++
	}
	for _, share := range []float64{0.1, 0.5, 0.9, 0.99, 1} {
		if got, want := h.quantile(share), 10_000+10*n*share; math.Abs(got/want-1) > 1.0/(1<<timeBits) {
			t.Errorf("quantile %v is %v, want %v", share, got, want)
		}
	}
	later := h
	later[find(5)] += 3
	if got := later.minus(&h).quantile(0.5); got < 5 || got > 6 {
		t.Errorf("the median of what came later is %v, want 5 to 6", got)
	}
}

// TestTimesOfOperations has an answer come a known time after its request.
func TestTimesOfOperations(t *testing.T) {
	b := newBooth(t, protocol.ReadResponse)
	if err := b.around.Change(Work{Timed: true}, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	clock := func() float64 {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			t.Fatal(err)
		}
		return float64(now.Nano())
	}
	var before histogram
	// The first is of a request whose sending was not noted, and the last longer than
	// what is told apart.
	for i, ago := range []float64{0, 1e4, 1e6, 1e8, 1e9, 1e10} {
		b.open(t, protocol.ReadResponse)
		var lane surroundingsLane
		if err := b.around.objects.Lanes.Lookup(uint32(b.lane), &lane); err != nil {
			t.Fatal(err)
		}
		sent := clock() - ago
		if i > 0 {
			lane.Sent = uint64(sent)
		}
		if err := b.around.objects.Lanes.Put(uint32(b.lane), &lane); err != nil {
			t.Fatal(err)
		}
		m := b.answer(protocol.ReadResponse)
		if verdict, _ := b.run(t, protocol.NewFrame(&m, self(), client(b.lane))); verdict != xdpTransmit {
			t.Fatalf("verdict %d", verdict)
		}
		most := clock() - sent
		var after histogram
		if err := b.around.objects.Times.Get(&after); err != nil {
			t.Fatal(err)
		}
		noted := after.minus(&before)
		before = after
		least, greatest := noted.quantile(0), noted.quantile(1)
		if i == 0 {
			if !math.IsNaN(least) {
				t.Errorf("a request that was not timed took %v", least)
			}
			continue
		}
		const longest = 2.1e9
		if least > most || greatest < min(ago, longest) {
			t.Errorf("an answer after %v to %v ns was noted as one after %v to %v", ago, most, least, greatest)
		}
		// The next request is timed from when it leaves.
		if err := b.around.objects.Lanes.Lookup(uint32(b.lane), &lane); err != nil {
			t.Fatal(err)
		}
		if lane.Sent < uint64(sent+ago) || float64(lane.Sent) > clock() {
			t.Errorf("the next request was sent at %v, which is not between %v and now", lane.Sent, sent+ago)
		}
	}
}

// TestUnloaded times each operation of the window, and has the ratios in the report.
func TestUnloaded(t *testing.T) {
	s := testSettings(t)
	suite := &Suite{Settings: s, Dalio: Dalio{}, Limits: []Contender{Limit{}}, UnloadedRivals: []Contender{cContender()}, Rounds: 1,
		Unloaded: Timing{Warm: 10 * time.Millisecond, Window: 100 * time.Millisecond, Awake: programs.Awake}}
	r, err := newReport(suite)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range suite.jobs() {
		if !j.workload.Work.Timed {
			continue
		}
		sample, _, err := MeasurePatiently(t.Context(), s, j.contender, j.workload, suite.timing(j.workload))
		if err != nil {
			t.Fatal(err)
		}
		r.Measurements = append(r.Measurements, sample)
		// Whoever has one request open can't do more than one in the median time, nor
		// twice as many.
		if p := sample.Latency.P50; sample.Lanes != 1 || p < 1000 || sample.Rate > 2e9/p || p > sample.Latency.P99 {
			t.Errorf("not believable: %+v, %+v", sample, *sample.Latency)
		}
	}
	if n := len(r.Measurements); n != 6 {
		t.Fatalf("%d samples, want 6", n)
	}
	for _, ratio := range suite.latencyRatios() {
		over, under := r.values(ratio.Over), r.values(ratio.Under)
		if len(over) != 1 || len(under) != 1 || !(over[0]/under[0] > 0.05 && over[0]/under[0] < 20) {
			t.Errorf("%s is of %v over %v", ratio.Key, over, under)
		}
	}
	var out strings.Builder
	if err := r.printLatencies(&out); err != nil || strings.Count(out.String(), "\n") != 8 {
		t.Errorf("printLatencies() = %v:\n%s", err, out.String())
	}
}
