// SPDX-License-Identifier: Apache-2.0

// Command trial puts dalio-audit to the test at full size: a history of a million
// operations, and the same with one stale read planted; then ten million operations
// whose answers tell versions, and such with a stale read. It fails unless all are
// judged rightly, within the time and memory that are promised. Making the histories
// does not count.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"dalio/checker/evidence"
	"dalio/checker/linear"
	"dalio/checker/linear/internal/synth"
)

// What is promised for each history.
const (
	timeLimit          = 30 * time.Second
	timeLimitVersioned = time.Minute
	memoryLimit        = 2 << 30
	coreLimit          = 10
)

func main() {
	audit := flag.String("audit", "build/bin/dalio-audit", "the command on trial")
	dir := flag.String("dir", "build/audit", "folder for the histories and the page of the bad key")
	operations := flag.Int("operations", synth.Large.Operations, "operations in each history without versions")
	versioned := flag.Int("versioned", synth.Versioned.Operations, "operations in each history with versions")
	readme := flag.String("evidence", "", "file with the table of evidence to update")
	flag.Parse()
	if flag.NArg() != 0 || *readme != "" && (*operations < synth.Large.Operations || *versioned < synth.Versioned.Operations) {
		fmt.Fprintln(os.Stderr, "trial: there are no arguments besides the flags, and -evidence is for a trial at full size")
		os.Exit(2)
	}
	if err := run(*audit, *dir, *operations, *versioned, *readme); err != nil {
		fmt.Fprintf(os.Stderr, "trial: %v\n", err)
		os.Exit(1)
	}
}

func run(audit, dir string, operations, versioned int, readme string) error {
	plain, told := synth.Large, synth.Versioned
	plain.Operations, told.Operations = operations, versioned
	// To tell a stale read, values must differ: nothing else says which write it was of.
	toldStale := plain
	toldStale.Operations, toldStale.Versions = versioned, true
	var all []result
	var problems []string
	for _, set := range []struct {
		what          string
		intact, stale synth.Config
	}{
		{"without versions", plain, plain},
		{"with versions, a quarter of the keys deleted too, values written again and again", told, toldStale},
	} {
		fmt.Printf("histories of %d operations on %d keys, Zipf %v, %d processes, %v%% of unknown outcome, %s\n", set.intact.Operations,
			set.intact.Keys, set.intact.Skew, set.intact.Processes, 100*set.intact.Info, set.what)
		set.stale.Stale = true
		for _, c := range []synth.Config{set.intact, set.stale} {
			r, err := try(audit, dir, c)
			if err != nil {
				return err
			}
			fmt.Println(r)
			all, problems = append(all, r), append(problems, r.problems()...)
		}
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	fmt.Printf("the bad key's page: %s\n", filepath.Join(dir, "html", "key-001.html"))
	if readme == "" {
		return nil
	}
	return evidence.Write(readme, "audit", conclusion(all))
}

// conclusion is what the table of evidence says.
func conclusion(all []result) string {
	of := func(i, j int) string {
		return fmt.Sprintf("in %.1f s and %d MiB; the stale read in %.1f s and %d MiB", all[i].took.Seconds(), all[i].memory>>20, all[j].took.Seconds(), all[j].memory>>20)
	}
	return fmt.Sprintf("%d operations without versions %s; %d with versions, values repeated and deleted, %s",
		all[0].operations, of(0, 1), all[2].operations, of(2, 3))
}

// result is one history and what dalio-audit made of it.
type result struct {
	name       string
	operations int
	versions   bool
	planted    string // the key of the stale read, "" without one
	status     int
	report     linear.Report
	took       time.Duration
	memory     int64 // resident bytes at most
}

// try writes one history and has it judged, by the clock and with the kernel's
// account of the process.
func try(audit, dir string, c synth.Config) (result, error) {
	r := result{name: "intact", operations: c.Operations, versions: c.Versions}
	arguments := []string{"--json"}
	if c.Stale {
		r.name = "one stale read"
		arguments = append(arguments, "--html", filepath.Join(dir, "html"))
	}
	path := filepath.Join(dir, strings.ReplaceAll(r.name, " ", "-")+".jsonl")
	if c.Versions {
		// Two gigabytes that nobody will look at again.
		path = filepath.Join(dir, "versions.jsonl")
		defer os.Remove(path)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return r, err
	}
	var err error
	if r.planted, err = write(path, c); err != nil {
		return r, err
	}
	cmd := exec.Command(audit, append(arguments, path)...)
	cmd.Stderr = os.Stderr
	start := time.Now()
	out, err := cmd.Output()
	r.took = time.Since(start)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return r, fmt.Errorf("run %s: %w", audit, err)
	}
	r.status = cmd.ProcessState.ExitCode()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.memory = usage.Maxrss << 10 // Linux counts in KiB.
	}
	if err := json.Unmarshal(out, &r.report); err != nil {
		return r, fmt.Errorf("%s ended with status %d and without a report: %w", audit, r.status, err)
	}
	return r, nil
}

func write(path string, c synth.Config) (planted string, err error) {
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	if planted, err = synth.Write(w, c); err != nil {
		return "", err
	}
	return planted, errors.Join(w.Flush(), f.Close())
}

// core returns the bad key and its core, if there is one bad key.
func (r *result) core() (key string, core []linear.Operation) {
	for _, k := range r.report.Keys {
		if k.Verdict == linear.NotLinearizable {
			if key != "" {
				return "several", nil
			}
			key, core = k.Key, k.Core
		}
	}
	return key, core
}

// problems returns which promises were not kept.
func (r *result) problems() []string {
	var all []string
	complain := func(format string, args ...any) { all = append(all, r.name+": "+fmt.Sprintf(format, args...)) }
	verdict, status := linear.Linearizable, 0
	if r.planted != "" {
		verdict, status = linear.NotLinearizable, 1
	}
	if r.report.Verdict != verdict || r.status != status {
		complain("judged %q with status %d, want %q and %d", r.report.Verdict, r.status, verdict, status)
	}
	if key, core := r.core(); key != r.planted {
		complain("found wrong with key %q, planted in %q", key, r.planted)
	} else if key != "" && (len(core) == 0 || len(core) > coreLimit) {
		complain("the core has %d operations, want 1 to %d", len(core), coreLimit)
	}
	limit := timeLimit
	if r.versions {
		limit = timeLimitVersioned
	}
	if r.took >= limit {
		complain("took %v, want less than %v", r.took.Round(time.Second), limit)
	}
	if r.memory >= memoryLimit || r.memory == 0 {
		complain("used %d MiB of memory, want less than %d", r.memory>>20, memoryLimit>>20)
	}
	return all
}

func (r result) String() string {
	s := fmt.Sprintf("  %-16s %-18s in %4.1f s and %d MiB", r.name, r.report.Verdict, r.took.Seconds(), r.memory>>20)
	if key, core := r.core(); key != "" {
		s += fmt.Sprintf(": key %s, shown by %d operations", key, len(core))
	}
	return s
}
