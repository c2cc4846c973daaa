// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"flag"
	"os"
	"testing"
)

// TestMain makes the random walks longer and more than rapid's defaults: two
// writes of one key that overtake each other take some thirty steps.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.checks": "1000", "rapid.steps": "100"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	os.Exit(m.Run())
}
