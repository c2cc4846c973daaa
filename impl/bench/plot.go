// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dalio/impl/bench/svg"
)

// The plot's measures, in pixels.
const (
	plotWidth  = 960.0
	plotLeft   = 190.0
	plotRight  = 90.0
	plotTop    = 86.0
	plotRow    = 26.0
	plotGap    = 16.0
	plotBottom = 64.0
	plotNote   = 16.0
	plotDot    = 3.5
)

// Plot shows samples on a logarithmic axis, a row for each series.
type Plot struct {
	Title, Subtitle, Footer string
	// Note, if there is one, is a line above the footer.
	Note string
	// Axis says what is measured, and Unit is written behind each median.
	Axis, Unit string
	Rows       []PlotRow
}

// PlotRow is one series, with a dot for each sample and a bar at the median.
type PlotRow struct {
	// Group is what the row is about. Rows of a group follow one another.
	Group, Label string
	// Ours has it drawn in Dalio's color, and Bound in that of what bounds others.
	Ours, Bound bool
	Samples     []float64
}

func (r *PlotRow) color() string {
	switch {
	case r.Ours:
		return "#1b7837"
	case r.Bound:
		return "#8c8c8c"
	}
	return "#b2182b"
}

// PlotCPU writes a plot of the processor time per operation, with every sample.
func (r *Report) PlotCPU(path string) error {
	p := Plot{Title: "Processor time of the coordinator per completed operation",
		Subtitle: fmt.Sprintf("%s, %d replicas, keys of %d and values of %d bytes; dots: %d samples of %.1f s; bar and number: median",
			r.Settings.Load(), r.Settings.Replicas, r.Settings.KeySize, r.Settings.ValueSize, r.Rounds, r.Window),
		Axis: "nanoseconds, logarithmic; less is better", Unit: "ns", Footer: r.Machine.String()}
	if len(r.Balancers) > 0 {
		p.Note = strings.Join(slices.Sorted(maps.Values(r.Balancers)), ", ") + ": " + balances
	}
	for _, key := range r.combinations() {
		if r.timed(key) {
			continue
		}
		workload, contender := key[0], key[1]
		row := PlotRow{Group: workload, Label: workload + ", " + contender, Ours: strings.HasPrefix(contender, "dalio"),
			Bound: strings.HasPrefix(contender, "limit") || contender == "echo", Samples: r.values(series{contender, workload, cpuOf})}
		if workload == contender {
			// The bare echo has a row beside the reads, which it bounds.
			row.Group, row.Label = p.Rows[len(p.Rows)-1].Group, contender
		}
		p.Rows = append(p.Rows, row)
	}
	return p.Write(path)
}

// Write writes the plot as SVG, and makes the folder if it is missing.
func (p *Plot) Write(path string) error {
	low, high := math.Inf(1), 0.0
	for _, r := range p.Rows {
		low, high = min(low, slices.Min(r.Samples)), max(high, slices.Max(r.Samples))
	}
	// Whole decades; one at least.
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	last = max(last, first+1)
	x := func(value float64) float64 {
		return plotLeft + (math.Log10(value)-first)/(last-first)*(plotWidth-plotLeft-plotRight)
	}
	var rows strings.Builder
	y := plotTop
	for i := range p.Rows {
		if i > 0 && p.Rows[i].Group != p.Rows[i-1].Group {
			y += plotGap
		}
		p.Rows[i].draw(&rows, p.Unit, y+plotRow/2-4, x)
		y += plotRow
	}
	var out strings.Builder
	footer := y + plotBottom - 10
	if p.Note != "" {
		svg.Text(&rows, 20, footer, "start", 11, "#000", p.Note)
		footer += plotNote
	}
	height := footer + 10
	svg.Open(&out, plotWidth, height, 13)
	svg.Text(&out, 20, 28, "start", 18, "#000", p.Title)
	svg.Text(&out, 20, 50, "start", 13, "#000", p.Subtitle)
	for decade := first; decade <= last; decade++ {
		at := x(math.Pow(10, decade))
		fmt.Fprintf(&out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", at, plotTop-14, at, y)
		svg.Text(&out, at, y+16, "middle", 12, "#000", fmt.Sprintf("%.0f", math.Pow(10, decade)))
	}
	svg.Text(&out, (plotLeft+plotWidth-plotRight)/2, y+34, "middle", 13, "#000", p.Axis)
	svg.Text(&out, 20, footer, "start", 11, "#000", p.Footer)
	out.WriteString(rows.String())
	svg.Close(&out)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the folder for the plot: %w", err)
	}
	if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
		return fmt.Errorf("write the plot: %w", err)
	}
	return nil
}

func (r *PlotRow) draw(out *strings.Builder, unit string, middle float64, x func(float64) float64) {
	median := Median(r.Samples)
	svg.Text(out, plotLeft-14, middle+4, "end", 13, "#000", r.Label)
	for _, s := range r.Samples {
		fmt.Fprintf(out, `<circle cx="%.1f" cy="%.1f" r="%.1f" fill="%s" fill-opacity="0.35"/>`+"\n", x(s), middle, plotDot, r.color())
	}
	fmt.Fprintf(out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="3"/>`+"\n",
		x(median), middle-9, x(median), middle+9, r.color())
	svg.Text(out, x(slices.Max(r.Samples))+10, middle+4, "start", 12, "#000", fmt.Sprintf("%.0f %s", median, unit))
}
