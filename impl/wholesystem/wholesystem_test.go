// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalio/checker/linear"
	"dalio/impl/bench"
	"dalio/impl/internal/built"
	"dalio/impl/load"
)

var executable string

func TestMain(m *testing.M) { os.Exit(built.Run(m, &executable)) }

func testSettings() Settings {
	s := DefaultSettings()
	s.Keys, s.Clients, s.Rounds = 500, 16, 1
	s.Warm, s.Window, s.Recorded = 0, 30*time.Millisecond, 100*time.Millisecond
	return s
}

// judge is what the benchmark has histories judged by.
func judge(ctx context.Context, path string) error {
	r, err := linear.CheckFile(ctx, path, linear.Options{Timeout: time.Minute})
	if err == nil && r.Verdict != linear.Linearizable {
		err = fmt.Errorf("it is %s", r.Verdict)
	}
	return err
}

// TestRun takes one short round of all contenders, and looks at what comes of it.
func TestRun(t *testing.T) {
	programs, err := bench.BuildPrograms(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &Suite{Settings: testSettings(), Executable: executable, Dir: dir, Contenders: Contenders(executable, "", programs),
		Mixes: []load.Mix{load.YCSBA, load.YCSBD}, Judge: judge, Progress: func(int, int, string, string) {}}
	r, err := s.Run(t.Context())
	if err != nil {
		t.Fatalf("%v (the tests of this package need root)", err)
	}
	if strings.Join(r.Judged, " ") != "dalio c" || len(r.Samples) != 2*len(s.Contenders) {
		t.Errorf("%v were judged, and %d samples taken", r.Judged, len(r.Samples))
	}
	for _, sample := range r.Samples {
		if !(sample.Rate > 0) || !(sample.CPU > 0) || sample.Operations == 0 {
			t.Errorf("not believable: %+v", sample)
		}
	}
	var out strings.Builder
	plot := filepath.Join(dir, "whole-system.svg")
	if err := errors.Join(r.Print(&out), r.Plot(plot, bench.Machine{})); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(plot); err != nil || !strings.Contains(string(text), "ycsb_a, ideal") || !strings.Contains(out.String(), "ideal") {
		t.Errorf("not all contenders are shown: %v\n%s", err, out.String())
	}
}

// TestComparisons: the ratios have the names that others know them by.
func TestComparisons(t *testing.T) {
	r := &Result{contenders: Contenders("", "", bench.Programs{}), mixes: []load.Mix{load.YCSBA, load.YCSBB, load.YCSBC, load.YCSBD}}
	for round := range 2 {
		for _, m := range r.mixes {
			for i, c := range r.contenders {
				r.Samples = append(r.Samples, Sample{Round: round, Contender: c.Name(), Mix: m.Name, Rate: float64(12 / (i + 1 + round))})
			}
		}
	}
	var got []string
	for _, c := range r.Comparisons() {
		got = append(got, fmt.Sprint(c.Key, c.Samples))
	}
	want := "e2e.ycsb_a.vs_c[2 1.5] e2e.ycsb_a.of_ideal[3 2] e2e.ycsb_b.vs_c[2 1.5] e2e.ycsb_b.of_ideal[3 2] e2e.ycsb_c.vs_c[2 1.5] e2e.ycsb_c.of_ideal[3 2] e2e.ycsb_d.vs_c[2 1.5] e2e.ycsb_d.of_ideal[3 2]"
	if strings.Join(got, " ") != want {
		t.Errorf("the ratios are %v, want %s", got, want)
	}
}

// TestLostWritesAreNoticed has a coordinator answer writes that it keeps nothing of.
func TestLostWritesAreNoticed(t *testing.T) {
	s := testSettings()
	sh, err := startShard(t.Context(), s, s.Keys, executable, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sh.Close(); err != nil {
			t.Error(err)
		}
	})
	forgetful := &liar{}
	suite := &Suite{Settings: s, Dir: t.TempDir(), Contenders: []Contender{forgetful}, Judge: judge}
	if err := suite.fill(t.Context(), sh); err != nil {
		t.Fatal(err)
	}
	// One who is not judged may lose what is inserted, and is found out all the same.
	if sample, err := sh.measure(t.Context(), s, excused{forgetful}, load.YCSBD, drawKeys(s.Keys)); err != nil || sample.Absent == 0 {
		t.Errorf("measure() = %v, and %d reads found nothing", err, sample.Absent)
	}
	if _, err := sh.measure(t.Context(), s, forgetful, load.YCSBD, drawKeys(s.Keys)); !errors.Is(err, ErrLost) {
		t.Errorf("measure() of inserts = %v, want %v", err, ErrLost)
	}
	if _, err := sh.measure(t.Context(), s, forgetful, load.YCSBB, drawKeys(s.Keys)); !errors.Is(err, ErrLost) {
		t.Errorf("measure() = %v, want %v", err, ErrLost)
	}
	if err := suite.judge(t.Context(), sh, &Result{}); err == nil || !strings.Contains(err.Error(), linear.NotLinearizable) {
		t.Errorf("judge() = %v, want one that says %q", err, linear.NotLinearizable)
	}
	// What is overdue is asked for again.
	r, err := sh.lead(t.Context(), &liar{deaf: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closeOrFail(t, r)
	load, err := sh.drive(work{clients: 4, sockets: 2, valueSize: s.ValueSize, source: func(int) source { return &inTurn{0, 8} }})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := load.wait()
	if n := load.operations(); err != nil || n != 16 || sum.retries == 0 || sum.failed > 0 {
		t.Errorf("%d operations of 16, %+v, %v", n, sum, err)
	}
}

func closeOrFail(t *testing.T, c io.Closer) {
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestSettings refuses what can't be measured.
func TestSettings(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"no replica": func(s *Settings) { s.Replicas = 0 }, "no key": func(s *Settings) { s.Keys = 0 },
		"too many keys": func(s *Settings) { s.Keys = maxKeys + 1 }, "value": func(s *Settings) { s.ValueSize = maxValue + 1 },
		"no client": func(s *Settings) { s.Clients = 1 }, "no socket": func(s *Settings) { s.Sockets = 0 },
		"too many clients": func(s *Settings) { s.Clients = s.Sockets*maxLanes + 1 }, "window": func(s *Settings) { s.Window = time.Millisecond },
		"history": func(s *Settings) { s.Recorded = 0 }, "no round": func(s *Settings) { s.Rounds = 0 },
	} {
		s := DefaultSettings()
		change(&s)
		if _, err := (&Suite{Settings: s}).Run(t.Context()); !errors.Is(err, ErrSettings) {
			t.Errorf("%s: Run() = %v, want %v", name, err, ErrSettings)
		}
	}
}

// TestKeys: all keys have one size, and are told apart.
func TestKeys(t *testing.T) {
	seen := map[string]bool{}
	for _, prefix := range []string{"", "e12-"} {
		for _, key := range []uint32{0, 1, 10, 999_999, maxKeys - 1} {
			name := string(appendKey(nil, prefix, key))
			if len(name) != keySize || seen[name] {
				t.Errorf("key %d is %q", key, name)
			}
			seen[name] = true
		}
	}
}
