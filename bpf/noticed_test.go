// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// cure is a passage of the data plane's sources that is needed, and what takes its
// place when it is taken out: a row of a table that make cures works with, too.
type cure struct {
	Name, File, Passage, Change string
	Tests                       []string
}

// cures reads the table. White space in a passage stands for any.
func cures(t *testing.T) []cure {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "checker", "cures", "dataplane.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []cure
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func cureNamed(t *testing.T, name string) cure {
	t.Helper()
	all := cures(t)
	i := slices.IndexFunc(all, func(c cure) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no cure %q", name)
	}
	return all[i]
}

func curesNoticedBy(t *testing.T, test string) (of []cure) {
	t.Helper()
	for _, c := range cures(t) {
		if slices.Contains(c.Tests, test) {
			of = append(of, c)
		}
	}
	return of
}

// TestRacesAreNoticed builds the data plane without what keeps two processors
// apart, and expects that TestBothProcessors would complain.
func TestRacesAreNoticed(t *testing.T) {
	const rounds = 20
	for _, name := range []string{"session-lock", "compare-and-swap", "fetch-and-add"} {
		t.Run("without "+name, func(t *testing.T) {
			tr := newRace(t, buildWith(t, cureNamed(t, name)), false)
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
	for name, several := range map[string]bool{"processors-apart": false, "devices-apart": true} {
		t.Run("without "+name, func(t *testing.T) {
			var flags []string
			if several {
				flags = append(flags, "-DDALIO_SEVERAL_DEVICES")
			}
			tr, spreads := newBroadcasts(t, loadTable(t, buildWith(t, cureNamed(t, name), flags...), several), several)
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

// buildWith compiles the data plane without a cure.
func buildWith(t *testing.T, c cure, flags ...string) string {
	t.Helper()
	var words []string
	for _, word := range strings.Fields(c.Passage) {
		words = append(words, regexp.QuoteMeta(word))
	}
	passage := regexp.MustCompile(strings.Join(words, `\s+`))
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
		if file == filepath.Base(c.File) {
			if len(passage.FindAllIndex(text, -1)) != 1 {
				t.Fatalf("%s no longer has, just once, %q", c.File, c.Passage)
			}
			text = passage.ReplaceAllLiteral(text, []byte(c.Change))
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
