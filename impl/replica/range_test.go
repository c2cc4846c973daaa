// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"
	"testing"

	"dalio/impl/replica/control"
)

// TestRangesAreMadeOfStripes: who looks for a range in its stripes finds all of it.
func TestRangesAreMadeOfStripes(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, control.MaxBits} {
		for i := range 20_000 {
			key := fmt.Sprint("key", i)
			index := rangeOf(key, n)
			if index < 0 || index >= 1<<n || !ofRange(n, index)(StripeOf([]byte(key))) {
				t.Fatalf("%s is in range %d of 2^%d and in stripe %d, which is not of that range", key, index, n, StripeOf([]byte(key)))
			}
		}
		found := 0
		for index := range 1 << n {
			for stripe := range Stripes {
				if ofRange(n, index)(stripe) {
					found++
				}
			}
		}
		if want := max(1<<n, Stripes); found != want {
			t.Errorf("2^%d ranges have %d stripes, want %d", n, found, want)
		}
	}
}
