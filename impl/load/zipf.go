// SPDX-License-Identifier: Apache-2.0

package load

import (
	"math"
	"math/rand/v2"
	"sort"
)

// Zipf draws numbers from 0 to n-1, number i with a weight of 1/(i+1)^s. The
// standard library's takes only exponents above 1, and the usual one in
// key-value benchmarks is 0.99.
type Zipf struct {
	// cumulative[i] is the probability of a number up to i.
	cumulative []float64
}

// NewZipf returns the distribution over n numbers with exponent s; s 0 is uniform.
func NewZipf(n int, s float64) *Zipf {
	z := &Zipf{cumulative: make([]float64, n)}
	sum := 0.0
	for i := range z.cumulative {
		sum += math.Pow(float64(i+1), -s)
		z.cumulative[i] = sum
	}
	for i := range z.cumulative {
		z.cumulative[i] /= sum
	}
	return z
}

// Draw returns the next number.
func (z *Zipf) Draw(r *rand.Rand) int {
	x := r.Float64()
	return min(sort.Search(len(z.cumulative), func(i int) bool { return z.cumulative[i] > x }), len(z.cumulative)-1)
}
