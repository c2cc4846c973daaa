// SPDX-License-Identifier: Apache-2.0

package growth

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dalio/impl/bench/svg"
	"dalio/impl/internal/files"
)

// The plot's measures, in pixels: panels in rows of plotColumns.
const (
	plotColumns = 3
	panelWidth  = 400.0
	panelHeight = 320.0
	panelLeft   = 56.0
	panelRight  = 30.0
	panelTop    = 62.0
	panelBottom = 48.0
	plotTop     = 64.0
)

var seriesColors = map[string]string{"read": "#1b7837", "write": "#762a83", "half_writes": "#b35806"}

// axes say what changes, by panel.
var axes = map[string]string{
	"keys":          "keys",
	"clients":       "client addresses, with as many frames in flight at each point",
	"clients_alone": "clients alone, one request open each; waking is in it",
	"replicas":      "replicas",
	"value_bytes":   "bytes of a value",
	"gate":          "keys and writes that are pending",
}

// panel is all curves over the same axis.
type panel struct {
	name   string
	curves []Measured
}

func (r *Report) panels() (all []panel) {
	for _, m := range r.Curves {
		i := slices.IndexFunc(all, func(p panel) bool { return p.name == m.curve.Panel })
		if i < 0 {
			i, all = len(all), append(all, panel{name: m.curve.Panel})
		}
		all[i].curves = append(all[i].curves, m)
	}
	return all
}

// Write writes curves.json and curves.svg into a folder, which it makes if it is missing.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder for the curves: %w", err)
	}
	if err := files.ReplaceJSON(filepath.Join(dir, "curves.json"), r); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "curves.svg"), []byte(r.plot()), 0o644); err != nil {
		return fmt.Errorf("write the plot: %w", err)
	}
	return nil
}

// plot draws a panel for each thing that changes, all on one page.
func (r *Report) plot() string {
	panels := r.panels()
	rows := (len(panels) + plotColumns - 1) / plotColumns
	width, height := plotColumns*panelWidth, plotTop+float64(rows)*panelHeight+30
	var out strings.Builder
	svg.Open(&out, width, height, 12)
	svg.Text(&out, 20, 28, "start", 18, "#000", "Processor time of the coordinator per operation, in nanoseconds")
	svg.Text(&out, 20, 48, "start", 12, "#000", fmt.Sprintf("dots: medians of %d samples of %.2g s; bars: %.0f %% intervals of the medians; %d replicas, keys of %d and values of %d bytes unless the axis says otherwise",
		r.Rounds, r.Window, 100*r.Curves[0].Points[0].Interval.Confidence, r.Settings.Replicas, r.Settings.KeySize, r.Settings.ValueSize))
	for i, p := range panels {
		p.draw(&out, float64(i%plotColumns)*panelWidth, plotTop+float64(i/plotColumns)*panelHeight)
	}
	svg.Text(&out, 20, height-12, "start", 11, "#000", r.Machine.String())
	svg.Close(&out)
	return out.String()
}

// draw draws the panel with its upper left corner at a place.
func (p *panel) draw(out *strings.Builder, left, top float64) {
	highest, first, last := 0.0, math.Inf(1), math.Inf(-1)
	for _, c := range p.curves {
		for _, point := range c.Points {
			highest = max(highest, point.Interval.High)
			first, last = min(first, point.X), max(last, point.X)
		}
	}
	step := niceStep(highest / 4)
	highest = step * math.Ceil(highest*1.05/step)
	// Replicas and rows have an even axis, all else a logarithmic one.
	scale := math.Log
	if p.name == "replicas" || p.name == "gate" {
		scale = func(x float64) float64 { return x }
	}
	inner, depth := panelWidth-panelLeft-panelRight-30, panelHeight-panelTop-panelBottom
	x := func(v float64) float64 {
		if last == first {
			return left + panelLeft + inner/2
		}
		return left + panelLeft + 20 + (scale(v)-scale(first))/(scale(last)-scale(first))*(inner-20)
	}
	y := func(v float64) float64 { return top + panelTop + depth*(1-v/highest) }
	svg.Text(out, left+panelLeft, top+16, "start", 13, "#000", axes[p.name])
	for v := 0.0; v <= highest+step/2; v += step {
		fmt.Fprintf(out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", left+panelLeft, y(v), left+panelLeft+inner+20, y(v))
		svg.Text(out, left+panelLeft-6, y(v)+4, "end", 11, "#000", fmt.Sprintf("%.0f", v))
	}
	marked := map[float64]bool{}
	for i, c := range p.curves {
		color := seriesColors[c.curve.Series]
		svg.Text(out, left+panelLeft, top+32+14*float64(i), "start", 11, color, c.curve.Series+": "+c.Verdict.short())
		var line []string
		for _, point := range c.Points {
			at := x(point.X)
			line = append(line, fmt.Sprintf("%.1f,%.1f", at, y(point.Median)))
			fmt.Fprintf(out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", at, y(point.Interval.Low), at, y(point.Interval.High), color)
			fmt.Fprintf(out, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", at, y(point.Median), color)
			if !marked[point.X] {
				svg.Text(out, at, top+panelTop+depth+16, "middle", 11, "#000", point.Label)
				marked[point.X] = true
			}
		}
		if p.name == "gate" {
			// Its points are cases, with nothing between.
			continue
		}
		fmt.Fprintf(out, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", strings.Join(line, " "), color)
	}
}

// short is the verdict in a few words.
func (v *Verdict) short() string {
	switch v.promise {
	case Flat:
		return fmt.Sprintf("flat within %.0f %%, %s", 100*v.Spread, v.word())
	case Linear:
		return fmt.Sprintf("%.0f + %.0f each, %.0f %% off, %s", v.Fixed, v.Slope, 100*v.Off, v.word())
	}
	return fmt.Sprintf("greatest over least %.2f", 1+v.Spread)
}

// niceStep is the least of 1, 2 and 5 times a power of ten that is not below x.
func niceStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, step := range []float64{1, 2, 5} {
		if step*power >= x {
			return step * power
		}
	}
	return 10 * power
}
