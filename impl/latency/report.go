// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"dalio/impl/bench"
	"dalio/impl/internal/files"
)

// Report is what was measured.
type Report struct {
	Settings Settings      `json:"settings"`
	Machine  bench.Machine `json:"machine"`
	Started  time.Time     `json:"started"`
	Took     float64       `json:"took_seconds"`
	// Saturated is operations a second in a closed loop, by mix.
	Saturated map[string]float64 `json:"saturated_per_second"`
	Samples   []Sample           `json:"samples"`
}

// values are those of one mix and share, round by round.
func (r *Report) values(mix string, share float64, value func(Sample) float64) []float64 {
	var all []float64
	for _, s := range r.Samples {
		if s.Mix == mix && s.Share == share {
			all = append(all, value(s))
		}
	}
	return all
}

// Write writes latency.json and latency.svg into a folder.
func (r *Report) Write(dir string) error {
	p := bench.Plot{Title: "Latency from when operations were due, by the rate offered",
		Subtitle: fmt.Sprintf("3 replicas and clients in Go share %d processors; %d keys (Zipf 0.99), values of %d bytes; dots: %d samples of %v; bar: median",
			r.Machine.Processors, r.Settings.Keys, r.Settings.ValueSize, r.Settings.Rounds, r.Settings.Window),
		Axis: "microseconds, logarithmic; less is better", Unit: "us", Footer: r.Machine.String()}
	kinds := []struct {
		name string
		of   func(Sample) Quantiles
	}{{"read", func(s Sample) Quantiles { return s.Read }}, {"write", func(s Sample) Quantiles { return s.Write }}}
	shown := []struct {
		name string
		of   func(Quantiles) float64
	}{{"p50", func(q Quantiles) float64 { return q.P50 }}, {"p99", func(q Quantiles) float64 { return q.P99 }},
		{"p99.9", func(q Quantiles) float64 { return q.P999 }}}
	for _, m := range mixes {
		for _, kind := range kinds {
			for _, q := range shown {
				for _, share := range r.Settings.Shares {
					p.Rows = append(p.Rows, bench.PlotRow{Group: m.Name + kind.name + q.name, Ours: true,
						Label:   fmt.Sprintf("%s %s %s, %.0f/s", m.Name, kind.name, q.name, share*r.Saturated[m.Name]),
						Samples: r.values(m.Name, share, func(s Sample) float64 { return max(1, q.of(kind.of(s))) })})
				}
			}
		}
	}
	if err := p.Write(filepath.Join(dir, "latency.svg")); err != nil {
		return err
	}
	return files.ReplaceJSON(filepath.Join(dir, "latency.json"), r)
}

// Print writes the table that a person reads.
func (r *Report) Print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nmix\tof saturated\toffered/s\tdone/s\tread p50, p99, p99.9 us\twrite p50, p99, p99.9 us\tbegun late p50, p99 us\tfailed\t\n")
	for _, m := range mixes {
		for _, share := range r.Settings.Shares {
			of := func(value func(Sample) float64) float64 { return bench.Median(r.values(m.Name, share, value)) }
			three := func(kind func(Sample) Quantiles) string {
				return fmt.Sprintf("%.0f, %.0f, %.0f", of(func(s Sample) float64 { return kind(s).P50 }),
					of(func(s Sample) float64 { return kind(s).P99 }), of(func(s Sample) float64 { return kind(s).P999 }))
			}
			failed := 0.0
			for _, n := range r.values(m.Name, share, func(s Sample) float64 { return float64(s.Failed) }) {
				failed += n
			}
			fmt.Fprintf(t, "%s\t%.0f %%\t%.0f\t%.0f\t%s\t%s\t%.0f, %.0f\t%.0f\t\n", m.Name, 100*share, share*r.Saturated[m.Name],
				of(func(s Sample) float64 { return s.Done }), three(func(s Sample) Quantiles { return s.Read }),
				three(func(s Sample) Quantiles { return s.Write }), of(func(s Sample) float64 { return s.Late.P50 }),
				of(func(s Sample) float64 { return s.Late.P99 }), failed)
		}
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}
