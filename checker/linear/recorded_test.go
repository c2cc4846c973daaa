// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRecordedHistories judges what clients of real runs saw: of Dalio as it is,
// and of builds that lacked one cure.
func TestRecordedHistories(t *testing.T) {
	paths, err := filepath.Glob("../../traces/recorded/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]int{}
	for _, path := range paths {
		want := NotLinearizable
		if strings.HasPrefix(filepath.Base(path), "whole") {
			want = Linearizable
		}
		report, err := CheckFile(context.Background(), path, Options{Timeout: time.Minute})
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if report.Verdict != want {
			t.Errorf("%s is %s, want %s", path, report.Verdict, want)
		}
		verdicts[want]++
	}
	if verdicts[Linearizable] < 2 || verdicts[NotLinearizable] < 6 {
		t.Errorf("histories by verdict: %v; some are missing", verdicts)
	}
}

// TestCounterexamples judges what clients see in TLC's counterexamples to the
// protocol without one of its cures. That none is missing is for the command to
// check that makes them.
func TestCounterexamples(t *testing.T) {
	paths, err := filepath.Glob("../../traces/counterexamples/*.jsonl")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no counterexamples: %v", err)
	}
	for _, path := range paths {
		report, err := CheckFile(context.Background(), path, Options{Timeout: time.Minute})
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if report.Verdict != NotLinearizable {
			t.Errorf("%s is %s, want %s", path, report.Verdict, NotLinearizable)
		}
	}
}
