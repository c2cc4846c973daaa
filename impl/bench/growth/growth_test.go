// SPDX-License-Identifier: Apache-2.0

package growth

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/rlimit"

	"dalio/impl/bench"
	"dalio/impl/internal/built"
)

var executable string

func TestMain(m *testing.M) { os.Exit(built.Run(m, &executable)) }

func settings(t *testing.T) bench.Settings {
	t.Helper()
	s := bench.DefaultSettings()
	var err error
	if s.CoordinatorCPU, s.SurroundingsCPU, err = bench.Processors(); err != nil {
		t.Fatal(err)
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRun takes one short round of some points, and reads what is written.
func TestRun(t *testing.T) {
	s := settings(t)
	all := slices.DeleteFunc(Curves(s), func(c Curve) bool { return c.Name() != "keys.read" && c.Panel != "gate" })
	all[0].Points = all[0].Points[3:]
	told := 0
	awake, err := bench.BuildAwake(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	timing := bench.Timing{Window: 50 * time.Millisecond, Awake: awake}
	r, err := Run(t.Context(), s, all, 1, timing, func(int, int) { told++ })
	if err != nil {
		t.Fatal(err)
	}
	if told != 5 {
		t.Errorf("progress was told %d times of 5 points", told)
	}
	for _, m := range r.Curves {
		for _, p := range m.Points {
			if !(p.Median > 0) || len(p.Samples) != 1 || p.Samples[0].Operations == 0 {
				t.Errorf("%s at %s: %+v", m.Name, p.Label, p)
			}
		}
	}
	// Where every key is pending, two of three replicas hold what is not committed.
	free, full := r.Curves[2].Points[0].Samples[0], r.Curves[2].Points[1].Samples[0]
	if free.Hops != 0 || float64(full.Hops) < 0.5*float64(full.Operations) {
		t.Errorf("%d of %d reads went on with nothing pending, %d of %d with all", free.Hops, free.Operations, full.Hops, full.Operations)
	}
	r.Curves[1].Verdict.Untold = true
	if err := r.measure(t.Context(), 1, timing, func(int, int) { told++ }, untold); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 2, 1} {
		for _, p := range r.Curves[i].Points {
			if len(p.Samples) != want || p.Samples[want-1].Round != want {
				t.Errorf("%s at %s has %d samples, want %d", r.Curves[i].Name, p.Label, len(p.Samples), want)
			}
		}
	}
	if told != 7 || r.Curves[1].Verdict.Untold {
		t.Errorf("progress was told %d times of 7 points; the curve measured again is judged %+v", told, r.Curves[1].Verdict)
	}
	dir := filepath.Join(t.TempDir(), "results")
	var out strings.Builder
	if err := errors.Join(r.Write(dir), r.Print(&out)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "keys.read") || !strings.Contains(out.String(), "(15 % are allowed)") {
		t.Errorf("printed:\n%s", out.String())
	}
	var read Report
	text, err := os.ReadFile(filepath.Join(dir, "curves.json"))
	if err := errors.Join(err, json.Unmarshal(text, &read)); err != nil || len(read.Curves) != 3 {
		t.Errorf("curves.json has %d curves (%v)", len(read.Curves), err)
	}
	file, err := os.Open(filepath.Join(dir, "curves.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for decoder := xml.NewDecoder(file); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestCurves: every point can be measured, and what differs within a curve is one thing.
func TestCurves(t *testing.T) {
	names := map[string]bool{}
	for _, c := range Curves(bench.DefaultSettings()) {
		if names[c.Name()] {
			t.Errorf("two curves are named %s", c.Name())
		}
		names[c.Name()] = true
		if axes[c.Panel] == "" || seriesColors[c.Series] == "" {
			t.Errorf("%s has no axis or no color", c.Name())
		}
		for i, p := range c.Points {
			if i > 0 && p.X <= c.Points[i-1].X {
				t.Errorf("%s: %s comes after %s", c.Name(), p.Label, c.Points[i-1].Label)
			}
		}
	}
	for _, name := range []string{"keys.read", "keys.write", "clients.read", "clients.write", "clients_alone.read", "replicas.write", "value_bytes.read", "gate.read", "gate.half_writes"} {
		if !names[name] {
			t.Errorf("no curve is named %s", name)
		}
	}
}

// TestVerdicts has promises be kept and be broken.
func TestVerdicts(t *testing.T) {
	points := func(medians ...float64) (all []MeasuredPoint) {
		for i, m := range medians {
			all = append(all, MeasuredPoint{X: float64(i + 1), Median: m, Interval: bench.Interval{Low: m, High: m}})
		}
		return all
	}
	for _, c := range []struct {
		promise Promise
		points  []MeasuredPoint
		kept    bool
	}{
		{Flat, points(100, 110, 114), true},
		{Flat, points(100, 110, 116), false},
		{Flat, points(116, 110, 100), false},
		{Linear, points(100, 200, 300, 400), true},
		{Linear, points(400, 410, 420), true},
		{Linear, points(100, 400, 900, 1600), false},
		{None, points(1, 1000), true},
	} {
		if v := judge(c.promise, 0, c.points); v.Kept != c.kept || v.Untold {
			t.Errorf("%s: %+v is judged %+v", c.promise, c.points, v)
		}
	}
	// Whether the medians alone break a promise, or their intervals, too.
	for _, c := range []struct {
		promise Promise
		points  []MeasuredPoint
		noise   float64
		untold  bool
	}{
		{Flat, points(100, 110, 120), 0.01, false},
		{Flat, points(100, 110, 120), 0.03, true},
		{Flat, points(100, 110, 114), 0.5, false},
		{Linear, points(100, 400, 900, 1600), 0.05, false},
		{Linear, points(100, 200, 300, 500), 0.01, false},
		{Linear, points(100, 200, 300, 500), 0.2, true},
	} {
		for i := range c.points {
			p := &c.points[i]
			p.Interval = bench.Interval{Low: p.Median * (1 - c.noise), High: p.Median * (1 + c.noise)}
		}
		if v := judge(c.promise, 0, c.points); v.Untold != c.untold || v.Untold && v.Kept {
			t.Errorf("%s, with a noise of %v: %+v is judged %+v", c.promise, c.noise, c.points, v)
		}
	}
	bent := points(20, 200, 300, 400)
	if whole, part := judge(Linear, 0, bent), judge(Linear, 2, bent); whole.Kept || !part.Kept {
		t.Errorf("%+v is judged %+v, and from the second on %+v", bent, whole, part)
	}
	if v := judge(Linear, 0, points(150, 250, 350)); v.Fixed < 49.9 || v.Fixed > 50.1 || v.Slope < 99.9 || v.Slope > 100.1 || v.Off > 0.001 {
		t.Errorf("50 + 100 each is found to be %+v", v)
	}
}

// TestTables: each more session takes its entry of 64 bytes, and nothing else grows.
func TestTables(t *testing.T) {
	settings(t)
	few, err := tables(1 << 10)
	if err != nil {
		t.Fatal(err)
	}
	many, err := tables(1 << 14)
	if err != nil {
		t.Fatal(err)
	}
	if each := float64(many.Total-few.Total) / float64(many.Sessions-few.Sessions); each < 64 || each > 66 {
		t.Errorf("each more session takes %.1f bytes; tables: %v, then %v", each, few.ByTable, many.ByTable)
	}
}

// TestMemory fills a replica with and without reads in the kernel.
func TestMemory(t *testing.T) {
	settings(t)
	s := MemorySettings{Few: 200, Many: 10_000, ValueSize: 64, Clients: 32}
	r, err := MeasureMemory(t.Context(), s, executable, t.TempDir(), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if r.PerSession < 64 || r.PerSession > 66 || len(r.Replicas) != 2 || !r.Replicas[1].KernelReads {
		t.Errorf("%+v", r)
	}
	for _, m := range r.Replicas {
		if m.Empty < 1<<20 || m.WithMany <= m.Empty {
			t.Errorf("not believable: %+v", m)
		}
	}
	var out strings.Builder
	dir := t.TempDir()
	if err := errors.Join(r.Print(&out), r.Write(dir)); err != nil || !strings.Contains(out.String(), "each more key") {
		t.Errorf("Print() = %v:\n%s", err, out.String())
	}
}

func TestMemorySettings(t *testing.T) {
	for _, s := range []MemorySettings{{}, {Few: 10, Many: 10, ValueSize: 1, Clients: 1}, {Few: 1, Many: 2, ValueSize: 2000, Clients: 1}} {
		if _, err := MeasureMemory(t.Context(), s, "", "", nil); !errors.Is(err, ErrMemorySettings) {
			t.Errorf("%+v: %v, want %v", s, err, ErrMemorySettings)
		}
	}
}
