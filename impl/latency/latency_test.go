// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalio/impl/internal/built"
)

var executable string

func TestMain(m *testing.M) { os.Exit(built.Run(m, &executable)) }

// TestRun takes one short round, and reads what is written.
func TestRun(t *testing.T) {
	s := DefaultSettings()
	s.Shares, s.Keys, s.Warm, s.Window, s.Rounds = []float64{0.3, 0.5}, 100, 20*time.Millisecond, 300*time.Millisecond, 1
	dir, told := t.TempDir(), 0
	r, err := Run(t.Context(), s, executable, dir, func(int, int, string) { told++ })
	if err != nil {
		t.Fatalf("%v (the tests of this package need root)", err)
	}
	if told != 6 || len(r.Samples) != 4 {
		t.Errorf("progress was told %d times, and there are %d samples", told, len(r.Samples))
	}
	for _, sample := range r.Samples {
		// What is offered is a Poisson number, and all of it is done.
		want := sample.Offered * s.Window.Seconds()
		if math.Abs(float64(sample.Operations+sample.Failed)-want) > 6*math.Sqrt(want) {
			t.Errorf("%d operations and %d failed of about %.0f", sample.Operations, sample.Failed, want)
		}
		for _, q := range []Quantiles{sample.Read, sample.Write} {
			if q.Max > 0 && !(q.P50 > 1 && q.P50 <= q.P99 && q.P99 <= q.P999 && q.P999 <= q.Max) {
				t.Errorf("not believable: %+v", sample)
			}
		}
	}
	var out strings.Builder
	if err := errors.Join(r.Write(dir), r.Print(&out)); err != nil || strings.Count(out.String(), "ycsb_") != 4 {
		t.Errorf("%v:\n%s", err, out.String())
	}
	for _, name := range []string{"latency.json", "latency.svg"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || len(text) < 1000 {
			t.Errorf("%s: %v, %d bytes", name, err, len(text))
		}
	}
}

func TestSettingsThatCantWork(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"no share":  func(s *Settings) { s.Shares = nil },
		"too much":  func(s *Settings) { s.Shares = []float64{3} },
		"no client": func(s *Settings) { s.Clients = 0 },
		"no window": func(s *Settings) { s.Window = 0 },
	} {
		s := DefaultSettings()
		change(&s)
		if _, err := Run(t.Context(), s, executable, t.TempDir(), nil); !errors.Is(err, ErrSettings) {
			t.Errorf("%s: %v, want %v", name, err, ErrSettings)
		}
	}
}
