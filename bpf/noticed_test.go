// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// alteration is a passage of a header, and what stands there in a broken build.
type alteration struct {
	header, passage, other string
}

// TestRacesAreNoticed builds the data plane without what keeps two processors
// apart, and expects that TestBothProcessors would complain.
func TestRacesAreNoticed(t *testing.T) {
	const rounds = 20
	for name, c := range map[string]alteration{
		"without the session lock": {"client.h",
			"bpf_spin_lock(&e->lock);\n\t\tactivity = decide_write(p, e, &word, &adopted);\n\t\tsettled_epoch = SETTLED_EPOCH(e);\n\t\tsettled_seq = e->settled_seq;\n\t\tbpf_spin_unlock(&e->lock);",
			"activity = decide_write(p, e, &word, &adopted);"},
		"with a plain store for the compare-and-swap": {"replica.h",
			"if (__sync_val_compare_and_swap(&e->word, word, next) == word)\n\t\t\tbreak;",
			"WRITE_ONCE(e->word, next);\n\t\tbreak;"},
		"with a plain increment for the fetch-and-add": {"client.h",
			"seq = __sync_fetch_and_add(&sequence.last, 1) + 1;",
			"seq = READ_ONCE(sequence.last) + 1;\n\tWRITE_ONCE(sequence.last, seq);"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newRace(t, buildWith(t, c), false)
			for seed := range uint64(rounds) {
				l, begin, end := tr.raceRound(raceFrames, seed)
				if complaints := l.judge(begin, end); len(complaints) != 0 {
					t.Logf("noticed after %d frames:\n%s", (int(seed)+1)*trafficLanes*raceFrames, strings.Join(complaints[:min(3, len(complaints))], "\n"))
					return
				}
			}
			t.Errorf("%d frames, and nothing was noticed", rounds*trafficLanes*raceFrames)
		})
	}
}

// TestWrongBroadcastsAreNoticed mixes up the copies of several multicasts, and
// expects that TestBroadcasts would complain.
func TestWrongBroadcastsAreNoticed(t *testing.T) {
	const lookup = "state = bpf_map_lookup_elem(&multicasts, &device);"
	for name, c := range map[string]struct {
		alteration
		several bool
	}{
		"one index for all processors": {alteration{"state.h",
			"__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);\n\t__uint(max_entries, MAX_DEVICES);",
			"__uint(type, BPF_MAP_TYPE_ARRAY);\n\t__uint(max_entries, MAX_DEVICES);"}, false},
		"one index for all devices": {alteration{"multicast.h", lookup,
			"__u32 first = 0;\n\n\t" + strings.Replace(lookup, "device", "first", 1)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var flags []string
			if c.several {
				flags = append(flags, "-DDALIO_SEVERAL_DEVICES")
			}
			tr, spreads := newBroadcasts(t, loadTable(t, buildWith(t, c.alteration, flags...), c.several), c.several)
			broadcasts := 0
			slices.Reverse(spreads)
			for _, spread := range spreads {
				n, complaint := tr.broadcast(spread, 0)
				broadcasts += n
				if complaint != "" {
					t.Logf("noticed after at most %d broadcasts: %s", broadcasts, complaint)
					return
				}
			}
			t.Errorf("%d broadcasts, and nothing was noticed", broadcasts)
		})
	}
}

// buildWith compiles the data plane with a change.
func buildWith(t *testing.T, c alteration, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob("*.[ch]")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if file == c.header {
			if strings.Count(string(text), c.passage) != 1 {
				t.Fatalf("%s no longer has, just once, %q", c.header, c.passage)
			}
			text = []byte(strings.Replace(string(text), c.passage, c.other, 1))
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	object := filepath.Join(dir, "changed.o")
	arguments := append(append(generatorFlags(t), flags...), "-O2", "-g", "-target", "bpfel", "-c", filepath.Join(dir, "coordinator.bpf.c"), "-o", object)
	if out, err := exec.Command("clang-19", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("build the changed data plane: %v\n%s", err, out)
	}
	return object
}
