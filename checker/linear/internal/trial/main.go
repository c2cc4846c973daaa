// SPDX-License-Identifier: Apache-2.0

// Command trial puts dalio-audit to the test at full size: a history of a million
// operations, and the same with one stale read planted. It fails unless both are
// judged rightly, within the time and memory that are promised.
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

	"dalio/checker/linear"
	"dalio/checker/linear/internal/synth"
)

// What is promised for each history.
const (
	timeLimit   = 30 * time.Second
	memoryLimit = 2 << 30
	coreLimit   = 10
)

func main() {
	audit := flag.String("audit", "build/bin/dalio-audit", "the command on trial")
	dir := flag.String("dir", "build/audit", "folder for the histories and the page of the bad key")
	operations := flag.Int("operations", synth.Large.Operations, "operations in each history")
	flag.Parse()
	if err := run(*audit, *dir, *operations); err != nil {
		fmt.Fprintf(os.Stderr, "trial: %v\n", err)
		os.Exit(1)
	}
}

func run(audit, dir string, operations int) error {
	c := synth.Large
	c.Operations = operations
	fmt.Printf("histories of %d operations on %d keys, Zipf %v, %d processes, %v%% of unknown outcome\n",
		c.Operations, c.Keys, c.Skew, c.Processes, 100*c.Info)
	var problems []string
	for _, stale := range []bool{false, true} {
		c.Stale = stale
		r, err := try(audit, dir, c)
		if err != nil {
			return err
		}
		fmt.Println(r)
		problems = append(problems, r.problems()...)
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	fmt.Printf("the bad key's page: %s\n", filepath.Join(dir, "html", "key-001.html"))
	return nil
}

// result is one history and what dalio-audit made of it.
type result struct {
	name    string
	planted string // the key of the stale read, "" without one
	status  int
	report  linear.Report
	took    time.Duration
	memory  int64 // resident bytes at most
}

// try writes one history and has it judged, by the clock and with the kernel's
// account of the process.
func try(audit, dir string, c synth.Config) (result, error) {
	r := result{name: "intact"}
	arguments := []string{"--json"}
	if c.Stale {
		r.name = "one stale read"
		arguments = append(arguments, "--html", filepath.Join(dir, "html"))
	}
	path := filepath.Join(dir, strings.ReplaceAll(r.name, " ", "-")+".jsonl")
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
	if r.took >= timeLimit {
		complain("took %v, want less than %v", r.took.Round(time.Second), timeLimit)
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
