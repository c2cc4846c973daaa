// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"strings"
)

// Mix is a share of writes that has a name.
type Mix struct {
	Name string
	// Writes is their share of the operations.
	Writes float64
	// Latest means that writes are of keys that were not there before, and reads of those
	// that came last. Not all that measure mixes can do this.
	Latest bool
}

// The mixes of YCSB that consist of reads and updates, and D, of reads and inserts.
var (
	YCSBA = Mix{Name: "ycsb_a", Writes: 0.5}
	YCSBB = Mix{Name: "ycsb_b", Writes: 0.05}
	YCSBC = Mix{Name: "ycsb_c"}
	YCSBD = Mix{Name: "ycsb_d", Writes: 0.05, Latest: true}
)

// YCSB returns the mixes with these letters, which have commas between them.
func YCSB(letters string) ([]Mix, error) {
	var mixes []Mix
next:
	for _, letter := range strings.Split(letters, ",") {
		for _, m := range []Mix{YCSBA, YCSBB, YCSBC, YCSBD} {
			if m.Name == "ycsb_"+letter {
				mixes = append(mixes, m)
				continue next
			}
		}
		return nil, fmt.Errorf("YCSB's mixes are a, b, c and d, and there is no %q", letter)
	}
	return mixes, nil
}
