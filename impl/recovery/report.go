// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"dalio/impl/bench"
	"dalio/impl/internal/files"
	"dalio/impl/load"
)

// Report is what a run found out, as it is written to report.json.
type Report struct {
	Started time.Time     `json:"started"`
	Took    float64       `json:"took_seconds"`
	Machine bench.Machine `json:"machine"`
	Parts   []*Part       `json:"parts"`
	// Met says that every target of every part is met, and every history
	// linearizable.
	Met bool `json:"met"`
}

// Part is one kind of failure and what came of it.
type Part struct {
	Name string `json:"name"`
	// Title says for people what is measured.
	Title string  `json:"title"`
	Took  float64 `json:"took_seconds"`
	// Load says what the clients did meanwhile.
	Load    string   `json:"load"`
	Samples []Sample `json:"samples,omitempty"`
	// Times has the distributions of the samples, by name, in milliseconds.
	Times   map[string]Distribution `json:"times_ms,omitempty"`
	Rejoin  *Rejoined               `json:"rejoin,omitempty"`
	Targets []Target                `json:"targets"`
	// Operations counts by kind and outcome.
	Operations map[string]map[string]int `json:"operations"`
	History    string                    `json:"history"`
	// Verdict is the audit's, of the history with a last read of every key.
	Verdict string `json:"verdict"`
}

// Sample is one failure. Times are in milliseconds since just before it.
type Sample struct {
	// Failed is what failed.
	Failed string `json:"failed"`
	// Write and Read are when the first operation of the kind had ended that was
	// begun after the failure.
	Write float64 `json:"write_ms"`
	Read  float64 `json:"read_ms"`
	// Gap is the longest time without a write, or without a read, before the shard
	// was whole again, and Whole when that was seen.
	Gap   float64 `json:"gap_ms"`
	Whole float64 `json:"whole_ms"`
	// Epoch is the one in which the shard was whole again.
	Epoch uint32 `json:"epoch"`
}

// Distribution sums samples up.
type Distribution struct {
	Count  int     `json:"count"`
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
}

// distribution sums up one of the samples' times. Quantiles are samples: the
// smallest one that no less than the share is at or below.
func distribution(samples []Sample, of func(Sample) float64) Distribution {
	var values []float64
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return Distribution{}
	}
	at := func(share float64) float64 { return values[max(0, int(math.Ceil(share*float64(n)))-1)] }
	return Distribution{Count: n, Median: at(0.5), P99: at(0.99), Max: values[n-1]}
}

// Target is what a part must show.
type Target struct {
	What string `json:"what"`
	// Got must be at most the Limit, or at least that if AtLeast.
	Got     float64 `json:"got"`
	Limit   float64 `json:"limit"`
	AtLeast bool    `json:"at_least,omitempty"`
	Unit    string  `json:"unit,omitempty"`
	Met     bool    `json:"met"`
}

// atMost and atLeast add a target.
func (p *Part) atMost(what string, got, limit float64, unit string) {
	p.Targets = append(p.Targets, Target{What: what, Got: got, Limit: limit, Unit: unit, Met: got <= limit})
}

func (p *Part) atLeast(what string, got, limit float64, unit string) {
	p.Targets = append(p.Targets, Target{What: what, Got: got, Limit: limit, AtLeast: true, Unit: unit, Met: got >= limit})
}

// count takes over what the clients saw.
func (p *Part) count(l *load.Report) { p.Operations = l.Outcomes }

// unserved returns how many operations ended other than OK.
func (p *Part) unserved() (n int) {
	for _, outcomes := range p.Operations {
		n += outcomes["fail"] + outcomes["info"]
	}
	return n
}

// Total returns how many operations ended.
func (p *Part) Total() (n int) {
	for _, outcomes := range p.Operations {
		for _, count := range outcomes {
			n += count
		}
	}
	return n
}

// Met says whether all targets are met.
func (p *Part) Met() bool {
	return !slices.ContainsFunc(p.Targets, func(t Target) bool { return !t.Met })
}

// Print writes the part for people.
func (p *Part) Print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", p.Title)
	fmt.Fprintf(w, "  %s; %d operations, %d of them not done or unknown; %.0f s\n", p.Load, p.Total(), p.unserved(), p.Took)
	for _, name := range slices.Sorted(maps.Keys(p.Times)) {
		d := p.Times[name]
		fmt.Fprintf(w, "  %-34s median %7.1f ms   p99 %7.1f ms   max %7.1f ms   n=%d\n", name, d.Median, d.P99, d.Max, d.Count)
	}
	if p.Rejoin != nil {
		p.Rejoin.print(w)
	}
	for _, t := range p.Targets {
		t.print(w)
	}
	fmt.Fprintf(w, "  history %s: %s\n", p.History, p.Verdict)
}

func (t Target) print(w io.Writer) {
	relation, verdict := "at most", "met"
	if t.AtLeast {
		relation = "at least"
	}
	if !t.Met {
		verdict = "NOT MET"
	}
	fmt.Fprintf(w, "  target: %s %s %g%s: %.4g%s, %s\n", t.What, relation, t.Limit, t.Unit, t.Got, t.Unit, verdict)
}

// Write writes the report as JSON, whole or not at all.
func (r *Report) Write(path string) error { return files.ReplaceJSON(path, r) }
