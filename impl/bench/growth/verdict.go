// SPDX-License-Identifier: Apache-2.0

package growth

import (
	"fmt"
	"math"
	"slices"
)

// Verdict says whether a promise is kept.
type Verdict struct {
	// Kept is true where nothing is promised.
	Kept bool `json:"kept"`
	// Untold is true where the medians do not keep a promise which, by their intervals, may
	// be kept: it takes more rounds, or a quieter machine, to tell.
	Untold bool `json:"untold"`
	// Spread is how much the greatest median is above the least, as a share of it.
	Spread float64 `json:"spread"`
	// Fixed and Slope are the line of least squares through the medians, in nanoseconds
	// and nanoseconds for each more of what changes, and Off is how much the median
	// farthest off is from the line, as a share of what the line says.
	Fixed float64 `json:"line_fixed_ns"`
	Slope float64 `json:"line_slope_ns"`
	Off   float64 `json:"off_line"`
	Why   string  `json:"why"`

	promise Promise
}

func (v *Verdict) word() string {
	switch {
	case v.promise == None:
		return "-"
	case v.Kept:
		return "kept"
	case v.Untold:
		return "CAN'T TELL"
	}
	return "NOT KEPT"
}

// judge holds the medians to the promise, from the point at an X on.
func judge(promise Promise, from float64, points []MeasuredPoint) Verdict {
	first := slices.IndexFunc(points, func(p MeasuredPoint) bool { return p.X >= from })
	points = points[max(0, first):]
	least, greatest := math.Inf(1), 0.0
	// What the least may truly be at most, and the greatest at least.
	highest, lowest := math.Inf(1), 0.0
	for _, p := range points {
		least, greatest = min(least, p.Median), max(greatest, p.Median)
		highest, lowest = min(highest, p.Interval.High), max(lowest, p.Interval.Low)
	}
	v := Verdict{promise: promise, Kept: true, Spread: greatest/least - 1}
	v.Fixed, v.Slope = leastSquares(points)
	nearLine := true
	for _, p := range points {
		line := v.Fixed + v.Slope*p.X
		v.Off = max(v.Off, math.Abs(p.Median-line)/math.Abs(line))
		within := lineWithin * math.Abs(line)
		nearLine = nearLine && p.Interval.Low <= line+within && p.Interval.High >= line-within
	}
	spread := fmt.Sprintf("%.0f to %.0f ns: the greatest is %.0f %% above the least", least, greatest, 100*v.Spread)
	switch promise {
	case Flat:
		v.Kept = v.Spread <= flatWithin
		v.Untold = !v.Kept && lowest <= highest*(1+flatWithin)
		v.Why = fmt.Sprintf("%s (%.0f %% are allowed)", spread, 100*flatWithin)
	case Linear:
		v.Kept = v.Off <= lineWithin
		v.Untold = !v.Kept && nearLine
		v.Why = fmt.Sprintf("from %.0f on, %.0f ns and %.0f for each: at most %.0f %% off the line of least squares (%.0f %% are allowed)",
			points[0].X, v.Fixed, v.Slope, 100*v.Off, 100*lineWithin)
	case None:
		v.Why = spread
	}
	return v
}

// leastSquares is the line through the medians with the least sum of squared distances.
func leastSquares(points []MeasuredPoint) (fixed, slope float64) {
	var x, y, xx, xy float64
	n := float64(len(points))
	for _, p := range points {
		x, y, xx, xy = x+p.X/n, y+p.Median/n, xx+p.X*p.X/n, xy+p.X*p.Median/n
	}
	if spread := xx - x*x; spread > 0 {
		slope = (xy - x*y) / spread
	}
	return y - slope*x, slope
}
