// SPDX-License-Identifier: Apache-2.0

package load

// Mix is a share of writes that has a name.
type Mix struct {
	Name string
	// Writes is their share of the operations.
	Writes float64
}

// The mixes of YCSB that consist of reads and updates.
var (
	YCSBA = Mix{"ycsb_a", 0.5}
	YCSBB = Mix{"ycsb_b", 0.05}
	YCSBC = Mix{"ycsb_c", 0}
)
