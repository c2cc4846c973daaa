// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"dalio/impl/bench"
	"dalio/impl/load"
)

// Result is what was measured.
type Result struct {
	Settings Settings `json:"settings"`
	// Judged are the contenders of whom a history was judged, and found linearizable.
	Judged  []string `json:"judged"`
	Samples []Sample `json:"samples"`
	Took    float64  `json:"took_seconds"`

	contenders []Contender
	mixes      []load.Mix
}

// values are those of one contender with one mix, round by round.
func (r *Result) values(contender, mix string, value func(Sample) float64) []float64 {
	var all []float64
	for _, s := range r.Samples {
		if s.Contender == contender && s.Mix == mix {
			all = append(all, value(s))
		}
	}
	return all
}

func rate(s Sample) float64 { return s.Rate }

// Comparisons are of the first contender with each of the others: one ratio for each
// round.
func (r *Result) Comparisons() []bench.Comparison {
	var all []bench.Comparison
	first := r.contenders[0].Name()
	for _, m := range r.mixes {
		for _, c := range r.contenders[1:] {
			relation := ".vs_"
			if !c.Judged() {
				relation = ".of_"
			}
			all = append(all, bench.Comparison{Key: "e2e." + m.Name + relation + c.Name(),
				Samples: bench.Quotients(r.values(first, m.Name, rate), r.values(c.Name(), m.Name, rate)),
				Meaning: fmt.Sprintf("operations per second of the whole system, %s over %s", first, c.Name())})
		}
	}
	return all
}

// Plot writes a plot of the operations a second, with every sample. The machine is
// where it was measured.
func (r *Result) Plot(path string, machine bench.Machine) error {
	s := r.Settings
	p := bench.Plot{Title: "Operations of a whole system, by its coordinator",
		Subtitle: fmt.Sprintf("%d replicas and %d clients share %d processors; %d keys (Zipf %v), values of %d bytes; dots: %d samples of %v; bar and number: median",
			s.Replicas, s.Clients, machine.Processors, s.Keys, skew, s.ValueSize, s.Rounds, s.Window),
		Axis: "operations a second, logarithmic; more is better", Unit: "/s", Footer: machine.String()}
	for _, m := range r.mixes {
		for i, c := range r.contenders {
			p.Rows = append(p.Rows, bench.PlotRow{Group: m.Name, Label: m.Name + ", " + c.Name(), Ours: i == 0, Bound: !c.Judged(),
				Samples: r.values(c.Name(), m.Name, rate)})
		}
	}
	return p.Write(path)
}

// Print writes the table that a person reads; the comparisons are in the report.
func (r *Result) Print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nwhole system\tcoordinator\tops/s, median\trange\tmachine us/op\tmachine busy\tretries per 1000\t\n")
	for _, m := range r.mixes {
		for _, c := range r.contenders {
			rates := r.values(c.Name(), m.Name, rate)
			median := func(value func(Sample) float64) float64 { return bench.Median(r.values(c.Name(), m.Name, value)) }
			fmt.Fprintf(t, "%s\t%s\t%.0f\t%.0f to %.0f\t%.1f\t%.0f %%\t%.2f\t\n", m.Name, c.Name(), bench.Median(rates), slices.Min(rates), slices.Max(rates),
				median(func(s Sample) float64 { return s.CPU }), 100*median(func(s Sample) float64 { return s.Busy }),
				median(func(s Sample) float64 { return 1000 * float64(s.Retries) / float64(s.Operations) }))
		}
	}
	fmt.Fprintf(t, "\nhistories judged linearizable: %s\n", strings.Join(r.Judged, ", "))
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print the whole system's samples: %w", err)
	}
	return nil
}
