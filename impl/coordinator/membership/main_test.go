// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"flag"
	"os"
	"testing"
)

// TestMain makes the random walks more than rapid's defaults.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.checks": "400"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	os.Exit(m.Run())
}
