// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"dalio/impl/load"
)

// Report is what a run showed.
type Report struct {
	Seed    uint64  `json:"seed"`
	Durable bool    `json:"durable"`
	Seconds float64 `json:"seconds"`
	// Operations counts by kind and outcome.
	Operations map[string]map[string]int `json:"operations"`
	Total      int                       `json:"total"`
	// Faults are the faults injected, by name.
	Faults map[string]Tally `json:"faults"`
	// Served is in how many of the whole seconds reads and writes went on, and
	// LongestPause the longest run of seconds in which they did not.
	Served       int `json:"seconds_served"`
	WholeSeconds int `json:"seconds_whole"`
	LongestPause int `json:"longest_pause_seconds"`
	// Verdict is the audit's, of the history with a final read of every key.
	Verdict string   `json:"verdict"`
	BadKeys []string `json:"bad_keys,omitempty"`
	History string   `json:"history"`
}

// Tally counts one kind of fault.
type Tally struct {
	Injected int `json:"injected"`
	// InFlight counts those that began with operations open.
	InFlight int `json:"in_flight"`
	// Failed could not be injected as meant; they are not in Injected.
	Failed int `json:"failed"`
	// Passed is how often others came first because the shard was not as whole as
	// this one needs.
	Passed int `json:"passed_over"`
}

// Count fills in what the nemesis did.
func (r *Report) Count(n *Nemesis) {
	r.Faults = map[string]Tally{}
	for _, f := range n.Faults {
		r.Faults[f.Name] = Tally{Passed: n.passed[f.Name]}
	}
	for _, e := range n.events {
		t := r.Faults[e.Fault]
		switch {
		case e.Error != "":
			t.Failed++
		case e.InFlight > 0:
			t.InFlight++
			fallthrough
		default:
			t.Injected++
		}
		r.Faults[e.Fault] = t
	}
}

// Fill fills in what the clients saw.
func (r *Report) Fill(l *load.Report, m *Meter) {
	r.Operations, r.Total, r.Seconds = l.Outcomes, l.Operations(), l.Elapsed.Seconds()
	r.Served, r.WholeSeconds = m.Progress()
	r.LongestPause = m.Longest()
}

// Injected returns how many faults there were, and of how many kinds.
func (r *Report) Injected() (faults, kinds int) {
	for _, t := range r.Faults {
		faults += t.Injected
		if t.Injected > 0 {
			kinds++
		}
	}
	return faults, kinds
}

// often is how many times a fault must be met with operations in flight to count
// as met in many situations.
const often = 10

// Often returns how many kinds of faults were.
func (r *Report) Often() (kinds int) {
	for _, t := range r.Faults {
		if t.InFlight >= often {
			kinds++
		}
	}
	return kinds
}

// Rarest returns the fault that was met least often with operations in flight.
func (r *Report) Rarest() (name string, times int) {
	names := slices.Sorted(maps.Keys(r.Faults))
	name = slices.MinFunc(names, func(a, b string) int { return cmp.Compare(r.Faults[a].InFlight, r.Faults[b].InFlight) })
	return name, r.Faults[name].InFlight
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "\n  %-32s %9s %10s %7s %12s\n", "fault", "injected", "in flight", "failed", "passed over")
	for _, name := range slices.Sorted(maps.Keys(r.Faults)) {
		t := r.Faults[name]
		fmt.Fprintf(w, "  %-32s %9d %10d %7d %12d\n", name, t.Injected, t.InFlight, t.Failed, t.Passed)
	}
	faults, kinds := r.Injected()
	name, times := r.Rarest()
	fmt.Fprintf(w, "\n%d faults of %d kinds, %d of them %d times or more with operations in flight (the rarest: %s, %d times)\n",
		faults, kinds, r.Often(), often, name, times)
	fmt.Fprintf(w, "%d operations in %.0f s", r.Total, r.Seconds)
	for _, f := range slices.Sorted(maps.Keys(r.Operations)) {
		o := r.Operations[f]
		fmt.Fprintf(w, "; %s: %d ok, %d failed, %d unknown", f, o["ok"], o["fail"], o["info"])
	}
	fmt.Fprintf(w, "\nreads and writes were served in %d of %d seconds (%.0f%%); the longest pause: %d s\n",
		r.Served, r.WholeSeconds, 100*float64(r.Served)/float64(max(1, r.WholeSeconds)), r.LongestPause)
	fmt.Fprintf(w, "verdict: %s\n", r.Verdict)
}
