// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"math"
	"slices"
)

// Median returns the middle one of the samples.
func Median(samples []float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Interval is where the true median is likely to be.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// Confidence is the probability of that, whatever the distribution. With
	// fewer than six samples even their whole range has less than 0.95.
	Confidence float64 `json:"confidence"`
}

// MedianInterval returns the narrowest interval between two samples that holds
// the median with a probability of 0.95: as many samples lie below the median
// as heads come up in as many tosses.
func MedianInterval(samples []float64) Interval {
	const wanted = 0.95
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	if n == 0 {
		return Interval{math.NaN(), math.NaN(), 0}
	}
	// outside is the probability that the median lies beyond the ends chosen.
	cut, outside, tosses := 0, 2*math.Pow(0.5, float64(n)), 1.0
	for next := outside; 2*(cut+1) < n; cut++ {
		tosses *= float64(n-cut) / float64(cut+1)
		next += 2 * tosses * math.Pow(0.5, float64(n))
		if next > 1-wanted {
			break
		}
		outside = next
	}
	return Interval{sorted[cut], sorted[n-1-cut], 1 - outside}
}
