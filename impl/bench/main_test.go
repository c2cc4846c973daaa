// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf/rlimit"

	"dalio/protocol"
)

// stayAlive names the variable that makes the test binary a process to be killed.
const stayAlive = "BENCH_STAY_ALIVE"

var programs Programs

func TestMain(m *testing.M) {
	if told := os.Getenv(stayAlive); told != "" {
		fmt.Fprintln(os.Stderr, holdSite(told))
		os.Exit(1)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "the tests of the benchmark need root")
		os.Exit(1)
	}
	dir, err := os.MkdirTemp("", "dalio-bench-test-")
	if err == nil {
		programs, err = BuildPrograms(context.Background(), dir)
	}
	if err = errors.Join(err, rlimit.RemoveMemlock()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(status)
}

func testSettings(t *testing.T) Settings {
	t.Helper()
	s := DefaultSettings()
	s.Lanes, s.Keys = 16, 64
	var err error
	if s.CoordinatorCPU, s.SurroundingsCPU, err = Processors(); err != nil {
		t.Fatal(err)
	}
	return s
}

// client is a lane's address at a site of tests.
func client(lane int) protocol.Address { return Settings{}.client(lane) }

func cContender() Process { return Process{Label: "c", Path: programs.Coordinator} }

func echoContender() Process { return Process{Label: "echo", Path: programs.Echo, Echo: true} }

// newScene starts a contender and puts surroundings around it.
func newScene(t *testing.T, s Settings, c Contender) (*Site, Running, *Surroundings) {
	t.Helper()
	site, err := NewSite(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Close)
	running, err := c.Start(site)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, running.Close) })
	around, err := Surround(site, c.Knows())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, around.Close) })
	return site, running, around
}

func closeOrFail(t *testing.T, closeIt func() error) {
	if err := closeIt(); err != nil {
		t.Error(err)
	}
}

func mustCount(t *testing.T, s *Surroundings) Counts {
	t.Helper()
	c, err := s.Counts()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// await polls until the condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 5 s in vain: %s", what)
		}
	}
}

func mustDecode(t *testing.T, frame []byte) protocol.Message {
	t.Helper()
	var m protocol.Message
	if err := m.Unmarshal(frame[protocol.FrameOverhead:]); err != nil {
		t.Fatalf("decode a frame: %v", err)
	}
	return m
}

// mustComplete has lanes do work until so many operations are done, and stops them.
func mustComplete(t *testing.T, s *Surroundings, w Work, operations uint64) {
	t.Helper()
	if err := s.Start(w, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := s.awaitOperations(t.Context(), operations); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

// awaitEachLane returns when every lane has completed so many operations: whoever makes
// the lanes begin may be held up while some of them go on.
func awaitEachLane(t *testing.T, s *Surroundings, least uint64) {
	t.Helper()
	await(t, fmt.Sprintf("every lane completes %d operations", least), func() bool {
		fewest := ^uint64(0)
		eachLane(t, s, func(_ int, l surroundingsLane) { fewest = min(fewest, l.Completed) })
		return fewest >= least
	})
}

// awaitFaults returns when as many frames were faulty as there are lanes.
func awaitFaults(t *testing.T, s *Surroundings) {
	t.Helper()
	await(t, "every lane meets a fault", func() bool {
		c := mustCount(t, s)
		return sumOf(c.FaultsByName()) >= uint64(s.site.Settings.Lanes)
	})
}
