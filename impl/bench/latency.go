// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// latencySuffix ends the names of the workloads of unloaded latencies.
const latencySuffix = ".latency"

// Unloaded are the workloads of the unloaded latencies: one client, with one request
// open, whose every operation is timed from when its request leaves to when its
// answer comes, both by the program that plays the client.
func (s Settings) Unloaded() []Workload {
	var all []Workload
	for _, w := range s.Workloads()[:2] {
		w.Name, w.Work.Timed = w.Name+latencySuffix, true
		all = append(all, w)
	}
	return all
}

// Latency is how long the operations of a sample took, in nanoseconds.
type Latency struct {
	P50 float64 `json:"p50_ns"`
	P90 float64 `json:"p90_ns"`
	P99 float64 `json:"p99_ns"`
}

func medianLatency(s Sample) float64 { return s.Latency.P50 }

// The buckets of the histogram that the surroundings keep: TIME_BITS and
// TIME_DOUBLINGS in surroundings.h.
const (
	timeBits      = 6
	timeDoublings = 24
)

type histogram [(timeDoublings + 2) << timeBits]uint64

// minus is what was counted after an earlier look at the same histogram.
func (h *histogram) minus(earlier *histogram) *histogram {
	later := *h
	for i, n := range earlier {
		later[i] -= n
	}
	return &later
}

// bucketStart returns the least number of nanoseconds in a bucket, and how many more
// than that are not in it.
func bucketStart(bucket int) (start, width float64) {
	doublings := max(0, bucket>>timeBits-1)
	return math.Ldexp(float64(bucket-doublings<<timeBits), doublings), math.Ldexp(1, doublings)
}

// quantile returns the time that a share of the operations took at most, as if those of
// a bucket were spread over it evenly; NaN if there are none.
func (h *histogram) quantile(share float64) float64 {
	var sum, below uint64
	for _, n := range h {
		sum += n
	}
	wanted := share * float64(sum)
	for i, n := range h {
		if n > 0 && float64(below+n) >= wanted {
			start, width := bucketStart(i)
			return start + width*(wanted-float64(below))/float64(n)
		}
		below += n
	}
	return math.NaN()
}

func (h *histogram) latency() *Latency {
	return &Latency{P50: h.quantile(0.50), P90: h.quantile(0.90), P99: h.quantile(0.99)}
}

// latencyRatios are those of the unloaded latencies. Except of the limit they are a
// rival's over Dalio's, as elsewhere.
func (s *Suite) latencyRatios() []Ratio {
	var all []Ratio
	dalio := s.Dalio.Name()
	for _, w := range s.unloaded() {
		ours := series{dalio, w.Name, medianLatency}
		all = append(all, Ratio{w.Name + ".of_limit", ours, series{s.Limits[0].Name(), w.Name, medianLatency},
			"unloaded median latency, Dalio over stateless XDP"})
		for _, rival := range s.UnloadedRivals {
			all = append(all, Ratio{w.Name + ".vs_" + rival.Name(), series{rival.Name(), w.Name, medianLatency}, ours,
				fmt.Sprintf("unloaded median latency, %s over Dalio", rival.Name())})
		}
	}
	return all
}

// printLatencies writes the table of the unloaded latencies, if any were measured.
func (r *Report) printLatencies(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	header := "\nunloaded\tcontender\tp50 us\tp90 us\tp99 us\tns/op\t\n"
	for _, key := range r.combinations() {
		timed := func(value func(*Latency) float64) float64 {
			return Median(r.values(series{key[1], key[0], func(s Sample) float64 { return value(s.Latency) }})) / 1000
		}
		if !r.timed(key) {
			continue
		}
		fmt.Fprintf(t, "%s%s\t%s\t%.1f\t%.1f\t%.1f\t%.0f\t\n", header, key[0], key[1], timed(func(l *Latency) float64 { return l.P50 }),
			timed(func(l *Latency) float64 { return l.P90 }), timed(func(l *Latency) float64 { return l.P99 }),
			Median(r.values(series{key[1], key[0], cpuOf})))
		header = ""
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print the latencies: %w", err)
	}
	return nil
}

// timed says whether the samples of a combination have latencies.
func (r *Report) timed(combination [2]string) bool {
	for _, s := range r.Measurements {
		if s.Workload == combination[0] && s.Contender == combination[1] {
			return s.Latency != nil
		}
	}
	return false
}
