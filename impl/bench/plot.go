// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strings"
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
	plotDot    = 3.5
)

// colorOf tells Dalio, the bounds and the rivals apart.
func colorOf(contender string) string {
	switch contender {
	case "dalio":
		return "#1b7837"
	case "limit", "echo":
		return "#8c8c8c"
	}
	return "#b2182b"
}

// PlotCPU writes a plot of the processor time per operation, with every sample.
func (r *Report) PlotCPU(path string) error {
	low, high := math.Inf(1), 0.0
	for _, s := range r.Measurements {
		low, high = min(low, s.CPU), max(high, s.CPU)
	}
	// Whole decades; one at least.
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	last = max(last, first+1)
	x := func(value float64) float64 {
		return plotLeft + (math.Log10(value)-first)/(last-first)*(plotWidth-plotLeft-plotRight)
	}
	var rows strings.Builder
	y, workload := plotTop, ""
	for _, key := range r.combinations() {
		if workload != "" && key[0] != workload && key[0] != echoWorkload.Name {
			y += plotGap
		}
		workload = key[0]
		r.plotRow(&rows, key, y, x)
		y += plotRow
	}
	var out strings.Builder
	height := y + plotBottom
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="13">`+"\n", plotWidth, height)
	fmt.Fprintf(&out, `<rect width="%.0f" height="%.0f" fill="white"/>`+"\n", plotWidth, height)
	text(&out, 20, 28, "start", 18, "Processor time of the coordinator per completed operation")
	text(&out, 20, 50, "start", 13, fmt.Sprintf("%s, %d replicas, keys of %d and values of %d bytes; "+
		"dots: %d samples of %.1f s; bar and number: median", r.Settings.Load(), r.Settings.Replicas, r.Settings.KeySize,
		r.Settings.ValueSize, r.Rounds, r.Window))
	for decade := first; decade <= last; decade++ {
		at := x(math.Pow(10, decade))
		fmt.Fprintf(&out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", at, plotTop-14, at, y)
		text(&out, at, y+16, "middle", 12, fmt.Sprintf("%.0f", math.Pow(10, decade)))
	}
	text(&out, (plotLeft+plotWidth-plotRight)/2, y+34, "middle", 13, "nanoseconds, logarithmic; less is better")
	text(&out, 20, y+54, "start", 11, fmt.Sprintf("%s, %d processors, Linux %s", r.Machine.Processor, r.Machine.Processors, r.Machine.Kernel))
	out.WriteString(rows.String() + "</svg>\n")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the folder for the plot: %w", err)
	}
	if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
		return fmt.Errorf("write the plot: %w", err)
	}
	return nil
}

// plotRow draws the samples of one contender with one workload.
func (r *Report) plotRow(out *strings.Builder, key [2]string, y float64, x func(float64) float64) {
	samples := r.values(series{key[1], key[0], cpuOf})
	median, color, middle := Median(samples), colorOf(key[1]), y+plotRow/2-4
	label := key[0] + ", " + key[1]
	if key[0] == key[1] {
		label = key[0]
	}
	text(out, plotLeft-14, middle+4, "end", 13, label)
	for _, s := range samples {
		fmt.Fprintf(out, `<circle cx="%.1f" cy="%.1f" r="%.1f" fill="%s" fill-opacity="0.35"/>`+"\n", x(s), middle, plotDot, color)
	}
	fmt.Fprintf(out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="3"/>`+"\n",
		x(median), middle-9, x(median), middle+9, color)
	last := median
	for _, s := range samples {
		last = max(last, s)
	}
	text(out, x(last)+10, middle+4, "start", 12, fmt.Sprintf("%.0f ns", median))
}

func text(out *strings.Builder, x, y float64, anchor string, size int, content string) {
	fmt.Fprintf(out, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d">%s</text>`+"\n", x, y, anchor, size,
		html.EscapeString(content))
}
