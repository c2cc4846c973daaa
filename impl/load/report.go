// SPDX-License-Identifier: Apache-2.0

package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"dalio/traces"
)

// slowest bounds the latencies that are told apart, in nanoseconds.
const slowest = int64(time.Minute)

// Report counts and times what the clients of a run saw.
type Report struct {
	Elapsed time.Duration
	// Outcomes counts operations by what they were (traces.Read, Write, Delete)
	// and how they ended (traces.OK, Fail, Info).
	Outcomes map[string]map[string]int
	// Latency holds the nanoseconds of the OK operations of each kind: in a closed
	// loop since they began, in an open one since they were due.
	Latency map[string]*hdrhistogram.Histogram
	// Late holds for how many nanoseconds each operation was due when it began.
	Late *hdrhistogram.Histogram
	// ReadsByReplica counts OK reads by the id of the replica that answered.
	ReadsByReplica map[uint32]int
	// Retries counts requests sent again, and GatedReads the reads that the gate
	// sent on at least once, Hops times in all.
	Retries    int
	GatedReads int
	Hops       int
	// Errors counts the reasons of outcomes other than OK.
	Errors map[string]int
}

func newReport() *Report {
	r := &Report{
		Outcomes:       map[string]map[string]int{},
		Latency:        map[string]*hdrhistogram.Histogram{},
		Late:           hdrhistogram.New(1, slowest, 3),
		ReadsByReplica: map[uint32]int{},
		Errors:         map[string]int{},
	}
	for _, f := range []string{traces.Read, traces.Write, traces.Delete} {
		r.Outcomes[f] = map[string]int{}
		r.Latency[f] = hdrhistogram.New(1, slowest, 3)
	}
	return r
}

func (r *Report) add(f string, a Answer, took time.Duration) {
	r.Outcomes[f][a.Outcome]++
	r.Retries += a.Retries
	if a.Hops > 0 {
		r.GatedReads++
		r.Hops += a.Hops
	}
	if a.Outcome != traces.OK {
		if a.Err != nil {
			r.Errors[a.Err.Error()]++
		}
		return
	}
	// The value is clamped to the histogram's range, so recording can't fail.
	_ = r.Latency[f].RecordValue(max(1, min(int64(took), slowest)))
	if f == traces.Read {
		r.ReadsByReplica[a.Replica]++
	}
}

func (r *Report) late(by time.Duration) {
	_ = r.Late.RecordValue(max(1, min(int64(by), slowest)))
}

func (r *Report) merge(other *Report) {
	for f, outcomes := range other.Outcomes {
		for outcome, n := range outcomes {
			r.Outcomes[f][outcome] += n
		}
		r.Latency[f].Merge(other.Latency[f])
	}
	r.Late.Merge(other.Late)
	for id, n := range other.ReadsByReplica {
		r.ReadsByReplica[id] += n
	}
	for err, n := range other.Errors {
		r.Errors[err] += n
	}
	r.Retries += other.Retries
	r.GatedReads += other.GatedReads
	r.Hops += other.Hops
}

// Operations returns how many operations ended, whatever their outcome.
func (r *Report) Operations() int {
	total := 0
	for _, outcomes := range r.Outcomes {
		for _, n := range outcomes {
			total += n
		}
	}
	return total
}
