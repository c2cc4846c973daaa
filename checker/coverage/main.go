// SPDX-License-Identifier: Apache-2.0

// Command coverage has the tests of package bpf run the committed objects with a
// counter in every basic block, and fails unless each block runs and each conditional
// jump goes both ways, but for what untaken.json lists with the reason.
//
// The tests compare the program with the model as ever, after each frame; so they
// also show that the counters change nothing.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"dalio/checker/evidence"
)

// corpus is the tests that the programs are run by: every field of every message, the
// walks beside the model, the hazards, frames that fuzzing found, and real devices.
// races are those that have two processors meet.
const (
	corpus = "TestEveryField.*|TestSmallTable|TestModelAgainstBytecode.*|TestHazards|TestLease|TestCovered|TestRegressions|" +
		"TestFramesOfOtherDevices|TestMulticast.*|TestLastBulkOfSurplus|TestUnicastOnTheWire|TestRefusesLargeFrames|TestBroadcasts|" +
		"TestConcurrentRetriesOfCoveredWrites|FuzzFrame|FuzzSteps"
	races = "TestConcurrentDuplicates|TestConcurrentOpens|TestBothProcessors|TestChangesAreSeenInOrder|TestOpeningUnderLoad|TestFloorUnderLoad"
)

// limit is for the tests, which take less than a minute.
const limit = 5 * time.Minute

// objects are the committed ones, by the names that the tests give their counters.
var objects = []string{"coordinator", "several"}

func main() {
	dir := flag.String("dir", "build/coverage", "folder for the annotated sources")
	short := flag.Bool("short", false, "leave out the tests that have two processors meet")
	readme := flag.String("evidence", "", "file with the table of evidence to update")
	flag.Parse()
	if flag.NArg() != 0 || *short && *readme != "" {
		fmt.Fprintln(os.Stderr, "coverage: there are no arguments besides the flags, and -evidence is for a run of all tests")
		os.Exit(2)
	}
	if err := run(*dir, *short, *readme); err != nil {
		fmt.Fprintf(os.Stderr, "coverage: %v\n", err)
		os.Exit(1)
	}
}

func run(dir string, short bool, readme string) error {
	tests := corpus
	if !short {
		tests += "|" + races
	}
	counters, err := runTests(dir, tests)
	if err != nil {
		return err
	}
	all, err := readSources("bpf")
	if err != nil {
		return err
	}
	list, err := readExcuses("checker/coverage/untaken.json")
	if err != nil {
		return err
	}
	var programs []*program
	for _, object := range objects {
		some, err := readPrograms(object, filepath.Join("bpf", object+"_bpfel.o"), counters[object])
		if err != nil {
			return err
		}
		programs = append(programs, some...)
	}
	if err := report(dir, programs, all); err != nil {
		return err
	}
	complaints := judge(sitesOf(programs, all), list)
	if len(complaints) > 0 {
		return errors.New("\n  " + strings.Join(complaints, "\n  "))
	}
	return conclude(programs, all, list, readme)
}

// runTests runs tests, and returns the counters of each object.
func runTests(dir, tests string) (map[string][]uint64, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(filepath.Join(dir, "counters.json"))
	if err != nil {
		return nil, err
	}
	// What an earlier run left says nothing of this one.
	if err := os.RemoveAll(path); err != nil {
		return nil, err
	}
	// What the walks draw is the same each time.
	cmd := exec.Command("go", "test", "-count=1", "-timeout", limit.String(), "-run", "^("+tests+")$", "./bpf", "-rapid.seed=1", "-rapid.checks=1000")
	cmd.Env = append(os.Environ(), "DALIO_COVERAGE="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the tests fail on the programs with counters: %w\n%s", err, bytes.TrimSpace(out))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the tests left no counters: %w", err)
	}
	var counters map[string][]uint64
	return counters, json.Unmarshal(text, &counters)
}

// report writes the table and the annotated sources.
func report(dir string, programs []*program, all sources) error {
	var table bytes.Buffer
	if err := writeTable(&table, programs, all); err != nil {
		return err
	}
	fmt.Print(table.String())
	f, err := os.Create(filepath.Join(dir, "index.html"))
	if err != nil {
		return err
	}
	defer f.Close()
	return errors.Join(writePage(f, table.String(), annotate(programs, all)), f.Close())
}

// conclude prints the last line, which is also the evidence.
func conclude(programs []*program, all sources, list []excuse, readme string) error {
	var whole tally
	missed, never := 0, 0
	for _, p := range programs {
		_, t := p.tallies(all)
		whole.add(t)
		missed += len(p.missed())
	}
	for _, e := range list {
		for _, n := range e.Sites {
			if !e.Sometimes {
				never += n
			}
		}
	}
	summary := fmt.Sprintf("%s basic blocks run and %s ways of conditional jumps gone, in both objects; "+
		"of the others %d can't be gone and %d take two processors at the same moment, each listed with the reason, and the rest lies behind those",
		ratio(whole.blocksRun, whole.blocks), ratio(whole.waysGone, whole.ways), never, missed-never)
	fmt.Println("coverage:", summary)
	if readme == "" {
		return nil
	}
	return evidence.Write(readme, "coverage", summary)
}

func ratio(n, of int) string { return fmt.Sprintf("%d of %d", n, of) }
