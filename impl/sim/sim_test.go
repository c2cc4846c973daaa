// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func player(t *testing.T, object string) *Player {
	t.Helper()
	p, err := NewPlayer(0, object)
	if err != nil {
		t.Fatalf("the simulation needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func play(t *testing.T, p *Player, seed uint64, plan Plan) *Result {
	t.Helper()
	return p.Play(seed, plan)
}

// TestSameSeedSameRun runs seeds again, after others and on other programs, and
// compares all that happened.
func TestSameSeedSameRun(t *testing.T) {
	const seeds = 24
	p, other := player(t, ""), player(t, "")
	var first []*Result
	for seed := range uint64(seeds) {
		first = append(first, play(t, p, seed, MakePlan(seed)))
		if err := first[seed].Err; err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	for seed := uint64(seeds); seed > 0; {
		seed--
		again := play(t, other, seed, MakePlan(seed))
		if again.Digest == first[seed].Digest {
			continue
		}
		a, b := bytes.Split(first[seed].Log, []byte("\n")), bytes.Split(again.Log, []byte("\n"))
		for i := range min(len(a), len(b)) {
			if !bytes.Equal(a[i], b[i]) {
				t.Fatalf("seed %d: another run, from line %d of the event log on:\n%s\n%s", seed, i+1, a[i], b[i])
			}
		}
		t.Fatalf("seed %d: another run, of %d lines and not %d", seed, len(b), len(a))
	}
	if first[0].Digest == first[1].Digest {
		t.Error("two seeds had the same run")
	}
}

// TestCuresAreNeeded runs bytecode that lacks a cure: some seed must fail. Its run is
// shrunk, and what is left fails again in the same way.
func TestCuresAreNeeded(t *testing.T) {
	for _, c := range []struct{ name, file, passage, change string }{
		{"gate", "replica.h", "#define HAS_GATE 1", "#define HAS_GATE 0"},
		{"ack-set", "replica.h", "next = word | 1ULL << (bpf_ntohl(m->replica) % MAX_MEMBERS);", "next = WORD(SEQ(word), ACKS(word) << 1 | 1);"},
		{"ignore-old", "client.h", "if (request < e->request)", "if (0)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			object := without(t, c.file, c.passage, c.change)
			s, err := (&Fleet{Seeds: 2000, Workers: 1, Object: object}).Run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if s.Failed == nil {
				t.Fatalf("no seed of %d failed", s.Seeds)
			}
			p := player(t, object)
			seed := s.Failed.Seed
			var shortest *Result
			cut := Shrink(s.Failed.Plan, 80, func(plan Plan) bool {
				r := play(t, p, seed, plan)
				if r.Err != nil {
					shortest = r
				}
				return r.Err != nil
			})
			again := play(t, p, seed, cut.Apply(MakePlan(seed)))
			if again.Err == nil || shortest == nil || again.Digest != shortest.Digest || again.Operations > s.Failed.Operations {
				t.Errorf("shrunk to %+v, which is another run: %v", cut, again.Err)
			}
			t.Logf("found with %d seeds, %d operations, shrunk to %d: %v", s.Seeds, s.Failed.Operations, again.Operations, again.Err)
		})
	}
}

// without builds the data plane with a passage of its sources replaced.
func without(t *testing.T, file, passage, change string) (object string) {
	t.Helper()
	dir := t.TempDir()
	for _, pattern := range []string{"../../bpf/*.h", "../../bpf/coordinator.bpf.c"} {
		sources, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range sources {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Base(path) == file {
				if n := strings.Count(string(text), passage); n != 1 {
					t.Fatalf("%s has %q %d times, want once", file, passage, n)
				}
				text = []byte(strings.Replace(string(text), passage, change, 1))
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	object = filepath.Join(dir, "coordinator.o")
	// Debian keeps asm/types.h in the directory of the host's architecture.
	out, err := exec.Command("clang-19", "-O2", "-g", "-mcpu=v3", "-target", "bpf", "-I/usr/include/x86_64-linux-gnu",
		"-c", filepath.Join(dir, "coordinator.bpf.c"), "-o", object).CombinedOutput()
	if err != nil {
		t.Fatalf("build the data plane without a cure: %v\n%s", err, out)
	}
	return object
}

func TestShrinkLeavesWhatIsNeeded(t *testing.T) {
	p := Plan{Clients: 5, Operations: 300, Deliveries: 2000, Faults: []Fault{{Kind: "a"}, {Kind: "b"}, {Kind: "c"}, {Kind: "d"}, {Kind: "e"}}}
	cut := Shrink(p, 1000, func(p Plan) bool {
		return p.Faults[1].Kind != "" && p.Faults[4].Kind != "" && p.Operations >= 37 && p.Clients >= 2
	})
	if !slices.Equal(cut.Faults, []int{1, 4}) || cut.Operations != 37 || cut.Clients != 2 {
		t.Errorf("left %+v", cut)
	}
}

func TestMissedIsTold(t *testing.T) {
	s := &Summary{Seeds: 5000, Faulted: 5000, MedianOperations: 200, LeastDeliveries: 2000, Coverage: newCoverage()}
	for _, names := range []struct {
		all    []string
		counts map[string]int
	}{{Kinds(), s.Coverage.Faults}, {actions, s.Coverage.Actions}, {situations(), s.Coverage.Situations}} {
		for _, name := range names.all {
			names.counts[name] = 5
		}
	}
	if m := s.Missed(); len(m) != 0 {
		t.Errorf("all is met, but %v", m)
	}
	s.Coverage.Actions["HandleRead"], s.Coverage.Faults["nobody knows it"], s.LeastDeliveries = 4, 9, 1999
	if m := s.Missed(); len(m) != 3 {
		t.Errorf("three things are missed: %v", m)
	}
}
