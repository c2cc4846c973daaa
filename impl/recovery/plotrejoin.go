// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// plot draws the throughput over time, with what happened when.
func (r *Rejoined) plot(out *strings.Builder, top float64) {
	if len(r.Rates) == 0 {
		return
	}
	step := math.Pow(10, math.Floor(math.Log10(max(10, slices.Max(r.Rates)))))
	high := step * math.Ceil(slices.Max(r.Rates)/step)
	end := float64(len(r.Rates)) * bin.Seconds()
	x := func(seconds float64) float64 { return plotLeft + seconds/end*(plotWidth-plotLeft-plotRight) }
	y := func(rate float64) float64 { return top + plotHeight*(1-rate/high) }
	text(out, 20, top-14, "start", 13, fmt.Sprintf("Operations a second while a replica with %.0f MB is killed, starts again with nothing and rejoins", r.Megabytes))
	for i := range 5 {
		rate := high * float64(i) / 4
		line(out, plotLeft, y(rate), plotWidth-plotRight, y(rate))
		text(out, plotLeft-8, y(rate)+4, "end", 12, fmt.Sprintf("%.0f", rate))
	}
	every := max(1, math.Ceil(end/10/5)*5)
	for at := 0.0; at <= end; at += every {
		text(out, x(at), top+plotHeight+18, "middle", 12, fmt.Sprintf("%.0f", at))
	}
	text(out, (plotLeft+plotWidth-plotRight)/2, top+plotHeight+38, "middle", 13, "seconds")
	fmt.Fprintf(out, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#b2182b" fill-opacity="0.12"/>`+"\n",
		x(r.Killed), top, x(r.Started)-x(r.Killed), plotHeight)
	fmt.Fprintf(out, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#2166ac" fill-opacity="0.12"/>`+"\n",
		x(r.Started), top, x(r.Whole)-x(r.Started), plotHeight)
	half := y(share * r.Before)
	fmt.Fprintf(out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#b2182b" stroke-dasharray="6 4"/>`+"\n", plotLeft, half, plotWidth-plotRight, half)
	points := ""
	for i, rate := range r.Rates {
		points += fmt.Sprintf("%.1f,%.1f %.1f,%.1f ", x(float64(i)*bin.Seconds()), y(rate), x(float64(i+1)*bin.Seconds()), y(rate))
	}
	fmt.Fprintf(out, `<polyline points="%s" fill="none" stroke="#1b7837" stroke-width="2"/>`+"\n", points)
	legend(out, top, 0, "#1b7837", "operations a second, each half second")
	legend(out, top, 1, "#b2182b", "red: the replica is gone")
	legend(out, top, 2, "#2166ac", "blue: it catches up")
	legend(out, top, 3, "#b2182b", "dashes: half of the mean before")
}
