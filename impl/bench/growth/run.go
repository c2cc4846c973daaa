// SPDX-License-Identifier: Apache-2.0

package growth

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"dalio/impl/bench"
)

// Report is what was found of the coordinator, as it is written to curves.json.
type Report struct {
	Curves   []Measured     `json:"curves"`
	Settings bench.Settings `json:"settings"`
	// Rounds is how many samples a point has, at least.
	Rounds int `json:"rounds"`
	// Warm and Window are seconds.
	Warm    float64       `json:"warm_seconds"`
	Window  float64       `json:"window_seconds"`
	Started time.Time     `json:"started"`
	Took    float64       `json:"took_seconds"`
	Machine bench.Machine `json:"machine"`
	// Repeated is how many samples were taken again because lanes got lost.
	Repeated int `json:"repeated_samples"`

	taken int
}

// Measured is a curve with its samples.
type Measured struct {
	// Name is what changes from point to point, and what is done.
	Name    string          `json:"name"`
	Promise Promise         `json:"promise"`
	Verdict Verdict         `json:"verdict"`
	Points  []MeasuredPoint `json:"points"`

	curve *Curve
}

// MeasuredPoint has a sample for each round that its curve was measured in.
type MeasuredPoint struct {
	X     float64 `json:"x"`
	Label string  `json:"label"`
	// Median and Interval are of the processor time per operation, in nanoseconds.
	Median   float64        `json:"cpu_ns_per_operation"`
	Interval bench.Interval `json:"interval"`
	Samples  []bench.Sample `json:"samples"`
}

func (p *MeasuredPoint) values(of func(bench.Sample) float64) []float64 {
	var all []float64
	for _, s := range p.Samples {
		all = append(all, of(s))
	}
	return all
}

// Run measures all points of the curves, once in each round, and once in each of as many
// rounds again those of curves of which one can't tell then whether they keep their
// promise. Progress is told before each.
func Run(ctx context.Context, s bench.Settings, curves []Curve, rounds int, t bench.Timing, progress func(done, all int)) (*Report, error) {
	machine, err := bench.DescribeMachine()
	if err != nil {
		return nil, err
	}
	r := &Report{Settings: s, Rounds: rounds, Warm: t.Warm.Seconds(), Window: t.Window.Seconds(), Started: time.Now().UTC(), Machine: machine}
	for i := range curves {
		m := Measured{Name: curves[i].Name(), Promise: curves[i].Promise, curve: &curves[i]}
		for _, p := range curves[i].Points {
			m.Points = append(m.Points, MeasuredPoint{X: p.X, Label: p.Label})
		}
		r.Curves = append(r.Curves, m)
	}
	defer bench.Unhurried()()
	if err := r.measure(ctx, rounds, t, progress, func(*Measured) bool { return true }); err != nil {
		return nil, err
	}
	if err := r.measure(ctx, rounds, t, progress, untold); err != nil {
		return nil, err
	}
	r.Took = time.Since(r.Started).Seconds()
	return r, nil
}

func untold(m *Measured) bool { return m.Verdict.Untold }

// measure takes rounds of samples of some curves, and draws the conclusions.
func (r *Report) measure(ctx context.Context, rounds int, t bench.Timing, progress func(done, all int), which func(*Measured) bool) error {
	var some []*Measured
	points := 0
	for i := range r.Curves {
		if m := &r.Curves[i]; which(m) {
			some = append(some, m)
			points += len(m.Points)
		}
	}
	all := r.taken + rounds*points
	for range rounds {
		for _, m := range some {
			for j, p := range m.curve.Points {
				progress(r.taken, all)
				r.taken++
				sample, again, err := bench.MeasurePatiently(ctx, p.Settings, p.Dalio, bench.Workload{Name: m.Name, Work: p.Work}, t)
				sample.Round = len(m.Points[j].Samples) + 1
				if err != nil {
					return fmt.Errorf("round %d, %s at %s: %w", sample.Round, m.Name, p.Label, err)
				}
				r.Repeated += again
				m.Points[j].Samples = append(m.Points[j].Samples, sample)
			}
		}
	}
	r.conclude()
	return nil
}

// conclude fills in medians and verdicts.
func (r *Report) conclude() {
	for i := range r.Curves {
		m := &r.Curves[i]
		for j := range m.Points {
			cpu := m.Points[j].values(func(s bench.Sample) float64 { return s.CPU })
			m.Points[j].Median, m.Points[j].Interval = bench.Median(cpu), bench.MedianInterval(cpu)
		}
		m.Verdict = judge(m.Promise, m.curve.From, m.Points)
	}
}

// Print writes a table of all points, and a line for each verdict.
func (r *Report) Print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\ncurve\tat\tns/op, median\tinterval\tops/s\tcoordinator busy\thops/op\t\n")
	for _, m := range r.Curves {
		for _, p := range m.Points {
			of := func(value func(bench.Sample) float64) float64 { return bench.Median(p.values(value)) }
			fmt.Fprintf(t, "%s\t%s\t%.0f\t%.0f to %.0f\t%.0f\t%.0f %%\t%.2f\t\n", m.Name, p.Label, p.Median, p.Interval.Low, p.Interval.High,
				of(func(s bench.Sample) float64 { return s.Rate }), 100*of(func(s bench.Sample) float64 { return s.Busy }),
				of(func(s bench.Sample) float64 { return float64(s.Hops) / float64(s.Operations) }))
		}
	}
	fmt.Fprintf(t, "\ncurve\tpromise\tverdict\t\t\n")
	for _, m := range r.Curves {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\n", m.Name, m.Promise, m.Verdict.word(), m.Verdict.Why)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print the curves: %w", err)
	}
	return nil
}
