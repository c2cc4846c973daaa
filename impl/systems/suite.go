// SPDX-License-Identifier: Apache-2.0

package systems

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"dalio/impl/bench"
	"dalio/impl/internal/files"
	"dalio/impl/load"
)

// All returns the systems, those of memory first. The executable is the dalio command.
func All(executable string) []System {
	return []System{
		Dalio{Executable: executable, KernelReads: true}, Dalio{Executable: executable}, Etcd{}, Redis{},
		Dalio{Executable: executable, Durable: true}, Etcd{Disk: true}, Redis{Disk: true},
	}
}

// Report is what was measured.
type Report struct {
	Settings Settings      `json:"settings"`
	Machine  bench.Machine `json:"machine"`
	Started  time.Time     `json:"started"`
	Took     float64       `json:"took_seconds"`
	// Promises are by the systems' names.
	Promises map[string]string `json:"promises"`
	Samples  []Sample          `json:"samples"`
	// Ratios are of rates, Dalio over another system that promises an acknowledged
	// write as much, by keys like ycsb_a.dalio_over_etcd: one for each round.
	Ratios map[string][]float64 `json:"ratios"`
}

// Run measures the systems in turn, round by round. Progress is told what is begun.
func Run(ctx context.Context, s Settings, systems []System, dir string, progress func(done, all int, system string)) (*Report, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	machine, err := bench.DescribeMachine()
	if err != nil {
		return nil, err
	}
	r := &Report{Settings: s, Machine: machine, Started: time.Now().UTC(), Promises: map[string]string{}, Ratios: map[string][]float64{}}
	for round := range s.Rounds {
		for i, system := range systems {
			progress(round*len(systems)+i, s.Rounds*len(systems), system.Name())
			samples, err := s.round(ctx, system, filepath.Join(dir, system.Name()))
			if err != nil {
				return nil, fmt.Errorf("round %d: %w", round+1, err)
			}
			for _, sample := range samples {
				sample.Round = round + 1
				r.Samples = append(r.Samples, sample)
			}
			r.Promises[system.Name()] = system.Promise()
		}
	}
	r.Took = time.Since(r.Started).Seconds()
	for _, m := range mixes {
		for _, pair := range pairs {
			if ratios := bench.Quotients(r.values(m.Name, pair[0], rate), r.values(m.Name, pair[1], rate)); len(ratios) > 0 {
				r.Ratios[ratioKey(m, pair)] = ratios
			}
		}
	}
	return r, nil
}

// pairs are compared: those that keep what they acknowledge in the same place.
var pairs = [][2]string{
	{"dalio", "etcd"}, {"dalio", "redis_wait"}, {"dalio_kernel_reads", "etcd"}, {"dalio_kernel_reads", "redis_wait"},
	{"dalio_disk", "etcd_disk"}, {"dalio_disk", "redis_wait_disk"},
}

// ratioKey is the key of a pair's ratio.
func ratioKey(m load.Mix, pair [2]string) string { return m.Name + "." + pair[0] + "_over_" + pair[1] }

func rate(s Sample) float64 { return s.Rate }

// values are those of one system and mix, round by round.
func (r *Report) values(mix, system string, value func(Sample) float64) []float64 {
	var all []float64
	for _, s := range r.Samples {
		if s.Mix == mix && s.System == system {
			all = append(all, value(s))
		}
	}
	return all
}

// names are those of the systems, as they come.
func (r *Report) names() []string {
	var all []string
	for _, s := range r.Samples {
		if !slices.Contains(all, s.System) {
			all = append(all, s.System)
		}
	}
	return all
}

// Write writes systems.json and systems.svg into a folder.
func (r *Report) Write(dir string) error {
	p := bench.Plot{Title: "Replicated stores on the same operations",
		Subtitle: fmt.Sprintf("3 copies and %d clients in Go share %d processors; %d keys (Zipf 0.99), values of %d bytes; dots: %d samples of %v",
			r.Settings.Clients, r.Machine.Processors, r.Settings.Keys, r.Settings.ValueSize, r.Settings.Rounds, r.Settings.Window),
		Axis: "operations a second, logarithmic; more is better", Unit: "/s", Footer: r.Machine.String()}
	for _, m := range mixes {
		for _, name := range r.names() {
			p.Rows = append(p.Rows, bench.PlotRow{Group: m.Name, Label: m.Name + ", " + name,
				Ours: strings.HasPrefix(name, "dalio"), Samples: r.values(m.Name, name, rate)})
		}
	}
	if err := p.Write(filepath.Join(dir, "systems.svg")); err != nil {
		return err
	}
	return files.ReplaceJSON(filepath.Join(dir, "systems.json"), r)
}

// Print writes the tables that a person reads.
func (r *Report) Print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nmix\tsystem\tops/s, median\trange\tmachine us/op\tread p50, p99 us\twrite p50, p99 us\tunknown\t\n")
	for _, m := range mixes {
		for _, name := range r.names() {
			of := func(value func(Sample) float64) float64 { return bench.Median(r.values(m.Name, name, value)) }
			rates := r.values(m.Name, name, rate)
			unknown := 0.0
			for _, n := range r.values(m.Name, name, func(s Sample) float64 { return float64(s.Unknown) }) {
				unknown += n
			}
			writes := "-"
			if m.Writes > 0 {
				writes = fmt.Sprintf("%.0f, %.0f", of(func(s Sample) float64 { return s.WriteP50 }), of(func(s Sample) float64 { return s.WriteP99 }))
			}
			fmt.Fprintf(t, "%s\t%s\t%.0f\t%.0f to %.0f\t%.1f\t%.0f, %.0f\t%s\t%.0f\t\n", m.Name, name, bench.Median(rates), slices.Min(rates),
				slices.Max(rates), of(func(s Sample) float64 { return s.CPU }), of(func(s Sample) float64 { return s.ReadP50 }),
				of(func(s Sample) float64 { return s.ReadP99 }), writes, unknown)
		}
	}
	fmt.Fprintf(t, "\noperations a second, Dalio over\tmedian\tinterval\tconfidence\t\n")
	for _, m := range mixes {
		for _, pair := range pairs {
			key := ratioKey(m, pair)
			if samples := r.Ratios[key]; len(samples) > 0 {
				i := bench.MedianInterval(samples)
				fmt.Fprintf(t, "%s\t%.2f\t%.2f to %.2f\t%.0f %%\t\n", key, bench.Median(samples), i.Low, i.High, 100*i.Confidence)
			}
		}
	}
	fmt.Fprintf(t, "\nsystem\tan acknowledged write is\t\n")
	for _, name := range r.names() {
		fmt.Fprintf(t, "%s\t%s\t\n", name, r.Promises[name])
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}
