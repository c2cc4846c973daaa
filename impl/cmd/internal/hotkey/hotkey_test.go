// SPDX-License-Identifier: Apache-2.0

package hotkey

import (
	"os"
	"testing"
	"time"

	"dalio/checker/linear"
	"dalio/impl/internal/built"
)

var executable string

func TestMain(m *testing.M) {
	os.Exit(built.Run(m, &executable))
}

// TestTheKeyIsHotAndItsHistoryLinearizable says nothing of speed: other tests may
// have the machine.
func TestTheKeyIsHotAndItsHistoryLinearizable(t *testing.T) {
	for _, uneven := range []time.Duration{0, time.Millisecond} {
		s, err := Measure(t.Context(), Options{Dir: t.TempDir(), Executable: executable, Replicas: 3, Clients: 16, Sockets: 2,
			Lasts: 2 * time.Second, Uneven: uneven, Record: true})
		if err != nil {
			t.Fatalf("%v (the tests of this package need root)", err)
		}
		t.Logf("%+v", s)
		if s.Verdict != linear.Linearizable {
			t.Errorf("the history is %s", s.Verdict)
		}
		if s.Reads < 100 || s.Writes < 100 || s.Gated < 0.05 || s.HopsPerGated < 1 {
			t.Errorf("the gate had nothing to do: %+v", s)
		}
	}
}
