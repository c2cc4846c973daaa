// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"fmt"
	"html"
	"math"
	"os"
	"slices"
	"strings"
)

// The plot's measures, in pixels.
const (
	plotWidth  = 960.0
	plotLeft   = 70.0
	plotRight  = 250.0
	plotTop    = 70.0
	plotHeight = 260.0
	plotGap    = 110.0
)

// curve is the distribution of one time of one part.
type curve struct {
	name, color string
	values      []float64
}

// curves returns what there is to draw of the parts with samples.
func (r *Report) curves() (all []curve) {
	colors := []string{"#1b7837", "#2166ac", "#67a9cf", "#b2182b", "#8c8c8c"}
	add := func(p *Part, what string, of func(Sample) float64) {
		c := curve{name: p.Name + ", " + what, color: colors[len(all)%len(colors)]}
		for _, s := range p.Samples {
			c.values = append(c.values, of(s))
		}
		slices.Sort(c.values)
		all = append(all, c)
	}
	for _, p := range r.Parts {
		if len(p.Samples) == 0 {
			continue
		}
		if _, ok := p.Times[firstWrite]; ok {
			add(p, firstWrite, func(s Sample) float64 { return s.Write })
		}
		if _, ok := p.Times[firstRead]; ok {
			add(p, firstRead, func(s Sample) float64 { return s.Read })
		}
		if _, ok := p.Times[firstWrite]; !ok {
			add(p, longestGap, func(s Sample) float64 { return s.Gap })
		}
	}
	return all
}

// Plot writes the distributions, and the throughput while a replica rejoined, as
// far as they were measured.
func (r *Report) Plot(path string) error {
	var body strings.Builder
	y := plotTop
	if curves := r.curves(); len(curves) > 0 {
		plotTimes(&body, y, curves)
		y += plotHeight + plotGap
	}
	for _, p := range r.Parts {
		if p.Rejoin != nil {
			p.Rejoin.plot(&body, y)
			y += plotHeight + plotGap
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="13">`+"\n", plotWidth, y)
	fmt.Fprintf(&out, `<rect width="%.0f" height="%.0f" fill="white"/>`+"\n", plotWidth, y)
	text(&out, 20, 28, "start", 18, "How quickly a shard recovers, as its clients see it")
	out.WriteString(body.String())
	text(&out, 20, y-16, "start", 11, fmt.Sprintf("one machine: %s, %d processors, Linux %s", r.Machine.Processor, r.Machine.Processors, r.Machine.Kernel))
	out.WriteString("</svg>\n")
	if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
		return fmt.Errorf("write the plot: %w", err)
	}
	return nil
}

// plotTimes draws for each time the share of the failures after which it was over.
func plotTimes(out *strings.Builder, top float64, curves []curve) {
	low, high := math.Inf(1), 1.0
	for _, c := range curves {
		low, high = min(low, max(1, c.values[0])), max(high, c.values[len(c.values)-1])
	}
	// Whole decades; one at least.
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	last = max(last, first+1)
	x := func(ms float64) float64 {
		return plotLeft + (math.Log10(max(ms, math.Pow(10, first)))-first)/(last-first)*(plotWidth-plotLeft-plotRight)
	}
	y := func(share float64) float64 { return top + plotHeight*(1-share) }
	text(out, 20, top-14, "start", 13, "Share of the failures after which the time was over; each sample is a step")
	for _, share := range []float64{0, 0.25, 0.5, 0.75, 0.99} {
		line(out, plotLeft, y(share), plotWidth-plotRight, y(share))
		text(out, plotLeft-8, y(share)+4, "end", 12, fmt.Sprintf("%.0f %%", 100*share))
	}
	for decade := first; decade <= last; decade++ {
		for _, part := range []float64{1, 2, 5} {
			at := part * math.Pow(10, decade)
			if decade == last && part > 1 {
				break
			}
			line(out, x(at), top, x(at), top+plotHeight)
			text(out, x(at), top+plotHeight+18, "middle", 12, fmt.Sprintf("%.0f", at))
		}
	}
	text(out, (plotLeft+plotWidth-plotRight)/2, top+plotHeight+38, "middle", 13, "milliseconds since just before the failure, logarithmic")
	for i, c := range curves {
		points := fmt.Sprintf("%.1f,%.1f", x(c.values[0]), y(0))
		for k, v := range c.values {
			n := float64(len(c.values))
			points += fmt.Sprintf(" %.1f,%.1f %.1f,%.1f", x(v), y(float64(k)/n), x(v), y(float64(k+1)/n))
		}
		fmt.Fprintf(out, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", points, c.color)
		legend(out, top, i, c.color, fmt.Sprintf("%s (n=%d)", c.name, len(c.values)))
	}
}

// legend writes the ith line of what the colors mean.
func legend(out *strings.Builder, top float64, i int, color, content string) {
	at := top + 14 + 20*float64(i)
	fmt.Fprintf(out, `<rect x="%.1f" y="%.1f" width="14" height="4" fill="%s"/>`+"\n", plotWidth-plotRight+12, at-6, color)
	text(out, plotWidth-plotRight+32, at, "start", 11, content)
}

func line(out *strings.Builder, x1, y1, x2, y2 float64) {
	fmt.Fprintf(out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", x1, y1, x2, y2)
}

func text(out *strings.Builder, x, y float64, anchor string, size int, content string) {
	fmt.Fprintf(out, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d">%s</text>`+"\n", x, y, anchor, size, html.EscapeString(content))
}
