// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"context"
	"io"
	"testing"
	"time"

	"dalio/checker/linear/internal/synth"
	"dalio/traces"
)

var large = synth.Large

// checkSynthetic judges a made history, and returns the key of its planted read.
func checkSynthetic(t testing.TB, c synth.Config, opt Options) (Report, string) {
	t.Helper()
	r, w := io.Pipe()
	var planted string
	go func() {
		var err error
		planted, err = synth.Write(w, c)
		w.CloseWithError(err)
	}()
	report, err := Check(context.Background(), traces.NewReader(r, "synthetic"), opt)
	if err != nil {
		t.Fatal(err)
	}
	return report, planted
}

func TestLargeHistories(t *testing.T) {
	for _, stale := range []bool{false, true} {
		c := large
		c.Stale = stale
		if raceEnabled || !stale { // All keys but one of the other are legal, too.
			c.Operations /= 10
		}
		start := time.Now()
		report, planted := checkSynthetic(t, c, Options{})
		t.Logf("%d operations, stale %v: %s in %v, making the history included",
			c.Operations, stale, report.Verdict, time.Since(start).Round(time.Millisecond))
		if !stale && report.Verdict != Linearizable {
			t.Errorf("a correct history is %s", report.Verdict)
		}
		if stale {
			expectOneBadKey(t, report, planted)
		}
	}
}

func expectOneBadKey(t *testing.T, report Report, planted string) {
	t.Helper()
	if report.Verdict != NotLinearizable {
		t.Errorf("a history with a stale read is %s", report.Verdict)
	}
	for _, k := range report.Keys {
		if (k.Verdict == NotLinearizable) != (k.Key == planted) {
			t.Errorf("key %s is %s; the stale read is of %s", k.Key, k.Verdict, planted)
		}
		if k.Verdict == NotLinearizable && (len(k.Core) == 0 || len(k.Core) > 10 || !k.Minimal) {
			t.Errorf("the core has %d operations, minimal %v: %v", len(k.Core), k.Minimal, k.Core)
		}
	}
}
