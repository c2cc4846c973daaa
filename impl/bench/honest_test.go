// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dalio/bpf"
	"dalio/protocol"
)

// mixed exercises all that clients and replicas do.
var mixed = Work{Writes: 300}

// TestCountsAgree has the surroundings and the coordinator count the same
// operations, each by its own counters, over one bounded run.
func TestCountsAgree(t *testing.T) {
	s := testSettings(t)
	_, running, around := newScene(t, s, Dalio{})
	const wanted = 20_000
	if err := around.Start(mixed, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := around.awaitOperations(context.Background(), wanted); err != nil {
		t.Fatal(err)
	}
	awaitEachLane(t, around, 2)
	if err := around.Stop(); err != nil {
		t.Fatal(err)
	}
	c := mustCount(t, around)
	theirs, err := running.(inKernel).Closer.(*bpf.DataPlane).Counters()
	if err != nil {
		t.Fatal(err)
	}
	var applied, served uint64
	for i := range c.Applied {
		applied, served = applied+c.Applied[i], served+c.Served[i]
	}
	for what, pair := range map[string][2]uint64{
		"opens":             {c.Opens, theirs.Activities["opened"]},
		"reads":             {c.Reads, theirs.Activities["released"]},
		"writes":            {c.Writes, theirs.Activities["commits"]},
		"copies of writes":  {applied, theirs.Activities["clones"]},
		"copies per write":  {applied, uint64(s.Replicas) * c.Writes},
		"reads at replicas": {served, theirs.Activities["forwarded"] + theirs.Activities["hops"]},
		"frames in":         {c.In, c.Opens + 2*c.Reads + uint64(s.Replicas+1)*c.Writes},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d counted around the coordinator, %d by it or by arithmetic", what, pair[0], pair[1])
		}
	}
	if c.Reads == 0 || c.Writes == 0 || c.Operations() < wanted {
		t.Errorf("%d reads, %d writes", c.Reads, c.Writes)
	}
	var sum uint64
	eachLane(t, around, func(_ int, l surroundingsLane) { sum += l.Completed })
	if c := mustCount(t, around); sum != c.Operations()+c.Opens {
		t.Errorf("the lanes completed %d operations and opens, %d were counted", sum, c.Operations()+c.Opens)
	}
}

// eachLane visits the lanes.
func eachLane(t *testing.T, s *Surroundings, visit func(int, surroundingsLane)) {
	t.Helper()
	for i := range s.site.Settings.Lanes {
		var l surroundingsLane
		if err := s.objects.Lanes.Lookup(uint32(i), &l); err != nil {
			t.Fatal(err)
		}
		visit(i, l)
	}
}

// stranger is a Dalio coordinator for replicas of another epoch.
type stranger struct{ Dalio }

func (s stranger) Start(site *Site) (Running, error) {
	running, err := s.Dalio.Start(site)
	if err == nil {
		err = running.(inKernel).Closer.(*bpf.DataPlane).SetEpoch(epoch + 1)
	}
	return running, err
}

// TestBrokenCoordinator gives coordinators that do it wrong no operation.
func TestBrokenCoordinator(t *testing.T) {
	for _, c := range []Contender{stranger{}, echoContender()} {
		t.Run(c.Name(), func(t *testing.T) {
			_, _, around := newScene(t, testSettings(t), c)
			if err := around.Start(mixed, 10*time.Second); err != nil {
				t.Fatal(err)
			}
			awaitFaults(t, around)
			counted := mustCount(t, around)
			if n := counted.Operations(); n != 0 {
				t.Errorf("%d operations counted", n)
			}
			if err := around.Stop(); !errors.Is(err, ErrWrongAnswers) {
				t.Errorf("Stop() = %v, want %v", err, ErrWrongAnswers)
			}
		})
	}
}

func sumOf(counts map[string]uint64) uint64 {
	var sum uint64
	for n := range maps.Values(counts) {
		sum += n
	}
	return sum
}

// TestLostLanes notices a coordinator that stops answering.
func TestLostLanes(t *testing.T) {
	_, running, around := newScene(t, testSettings(t), cContender())
	if err := around.Start(mixed, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := around.awaitOperations(context.Background(), 1000); err != nil {
		t.Fatal(err)
	}
	process := running.(*runningProcess).command.Process
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	// Until it is gone it may yet answer, and end every lane.
	if err := unix.Waitid(unix.P_PID, process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if err := around.Stop(); !errors.Is(err, ErrLanesLost) {
		t.Errorf("Stop() = %v, want %v", err, ErrLanesLost)
	}
}

// TestDeadline ends load that nobody stops.
func TestDeadline(t *testing.T) {
	_, _, around := newScene(t, testSettings(t), Dalio{})
	if err := around.Start(mixed, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	late := uint64(0)
	await(t, "all lanes end after the deadline", func() bool {
		c := mustCount(t, around)
		late = c.FaultsByName()["after the deadline"]
		return late >= uint64(around.site.Settings.Lanes)
	})
	before := mustCount(t, around)
	time.Sleep(20 * time.Millisecond)
	if after := mustCount(t, around); after != before {
		t.Errorf("frames circulate after the deadline: %+v, then %+v", before, after)
	}
}

// TestGatedReads has a coordinator send reads on because of the gate, with the key that the
// replica answered with: that must be whole in a frame that came from a socket, too.
func TestGatedReads(t *testing.T) {
	segmenting := cContender()
	// Copies of writes come to one replica after the other, so that the gate closes.
	segmenting.Args = []string{"--segment"}
	s := testSettings(t)
	s.Lanes = 64
	_, _, around := newScene(t, s, segmenting)
	if err := around.Start(Work{Writes: 500}, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := around.awaitCount(t.Context(), "gated reads", 50, func(c *Counts) uint64 { return c.Hops }); err != nil {
		t.Error(err)
	}
	if err := around.Stop(); err != nil {
		t.Error(err)
	}
}

// TestSuite takes one short round and looks at the report.
func TestSuite(t *testing.T) {
	const rounds = 1
	settings := testSettings(t)
	// Few lanes would show what it costs to wake a thread, and little else.
	settings.Lanes = 0
	// The kernel keeps threads of real-time priority off a processor for up to 50 ms in
	// a second when others wait for it, and a window must see more than that pause.
	suite := &Suite{Settings: settings, Timing: Timing{Warm: 10 * time.Millisecond, Window: 150 * time.Millisecond, Awake: programs.Awake},
		Rounds: rounds, Dalio: Dalio{}, Limits: []Contender{Limit{}, Limit{Prefetch: true}},
		Rivals: []Contender{cContender(), TC{}, Dalio{NoPrefetch: true}}, Echo: echoContender(), Balancers: testBalancers(t)}
	report, err := suite.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"read.vs_c", "write3.vs_c", "mixed95.vs_c", "read.vs_c_ops", "write3.vs_c_ops",
		"mixed95.vs_c_ops", "read.of_limit", "write3.of_limit", "mixed95.of_limit", "c.of_echo",
		"mixed95.of_limit+prefetch", "mixed95.vs_dalio-prefetch",
		"read.vs_tc", "write3.vs_tc", "mixed95.vs_tc", "read.vs_nginx", "read.vs_nftables", "read.vs_nginx_ops", "read.vs_nftables_ops"} {
		if !(report.Ratios[key] > 0) || len(report.Samples[key]) != rounds {
			t.Errorf("%s is %v of %v", key, report.Ratios[key], report.Samples[key])
		}
	}
	for _, s := range report.Measurements {
		if s.CPU < 100 || s.Busy > 1.1 || s.Outside > 1.1 || s.Operations == 0 {
			t.Errorf("not believable: %+v", s)
		}
	}
	// Less than a tenth would mean that the C coordinator is no baseline, or that
	// the processor time of one of the two is not the whole.
	if r := report.Ratios["read.vs_c"]; r < 2 || r > 100 {
		t.Errorf("read.vs_c is %v", r)
	}
	for _, key := range []string{"write3.vs_nginx", "mixed95.vs_nftables"} {
		if _, ok := report.Ratios[key]; ok {
			t.Errorf("there is %s of what only reads", key)
		}
	}
	var out strings.Builder
	if err := errors.Join(report.Print(&out), report.PrintRatios(&out)); err != nil || !strings.Contains(out.String(), "c.of_echo") ||
		!strings.Contains(out.String(), report.Balancers["nginx"]+": "+balances) {
		t.Errorf("Print() = %v:\n%s", err, out.String())
	}
	dir := t.TempDir()
	if err := errors.Join(report.Write(dir+"/report.json"), report.PlotCPU(dir+"/cpu.svg")); err != nil {
		t.Error(err)
	}
	checkXML(t, dir+"/cpu.svg")
}

// checkXML reads a file to its end.
func checkXML(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	elements := 0
	for decoder := xml.NewDecoder(file); ; elements++ {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	if elements < 100 {
		t.Errorf("%s has only %d elements", path, elements)
	}
}

// TestLanesFor: a write has a frame on its way for each replica.
func TestLanesFor(t *testing.T) {
	s := DefaultSettings()
	for _, c := range []struct{ inFlight, replicas, writes, want int }{
		{192, 3, 0, 192}, {192, 3, 1000, 64}, {192, 3, 50, 174}, {192, 1, 1000, 192}, {200, 5, 1000, 40}, {3, 3, 1000, 1},
	} {
		s.InFlight, s.Replicas = c.inFlight, c.replicas
		if got := s.lanesFor(Work{Writes: c.writes}); got != c.want {
			t.Errorf("%+v: %d lanes", c, got)
		}
	}
}

// TestSettings refuses what the program of the surroundings can't do.
func TestSettings(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"no replica": func(s *Settings) { s.Replicas = 0 },
		"too many":   func(s *Settings) { s.Replicas = protocol.MaxMembers + 1 },
		"keys":       func(s *Settings) { s.Keys = 0 },
		"value":      func(s *Settings) { s.ValueSize = 1200 },
		"in flight":  func(s *Settings) { s.InFlight = maxInFlight + 1 },
		"lanes":      func(s *Settings) { s.Lanes = -1 },
		"processor":  func(s *Settings) { s.CoordinatorCPU = s.SurroundingsCPU },
	} {
		s := DefaultSettings()
		change(&s)
		if _, err := NewSite(s); !errors.Is(err, ErrSettings) {
			t.Errorf("%s: NewSite() = %v, want %v", name, err, ErrSettings)
		}
	}
}
