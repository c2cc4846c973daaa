// SPDX-License-Identifier: Apache-2.0

// Command demo is Dalio's main job in about a minute: it starts a shard in
// network namespaces of its own, drives it with concurrent clients while the
// network loses, duplicates, delays and reorders frames, records what the
// clients saw, and has that judged.
//
// Exit status: 0 linearizable, 1 not linearizable, 2 it could not be run, 3
// undecided.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"

	"dalio/checker/linear"
	"dalio/impl/cmd/internal/command"
	"dalio/impl/fabric"
	"dalio/impl/load"
)

const (
	exitLinearizable = iota
	exitNotLinearizable
	exitFailed
	exitUndecided
)

// config is the command line.
type config struct {
	dir        string
	object     string
	executable string
	events     bool
	replicas   int
	clients    int
	operations int
	longest    time.Duration
	faults     fabric.Faults
	workload   load.Workload
}

func parse(args []string) (config, error) {
	var c config
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.StringVar(&c.dir, "dir", "build/demo", "where the results go")
	f.StringVar(&c.object, "object", "", "an object file to load in place of the built-in data plane")
	f.StringVar(&c.executable, "dalio", "", "the dalio command (default: beside this one)")
	f.BoolVar(&c.events, "events", false, "record what all processes do, below DIR/shard/events, for go run ./spec/trace")
	f.IntVar(&c.replicas, "replicas", 3, "replicas, 1 to 16")
	f.IntVar(&c.clients, "clients", 32, "concurrent clients")
	f.IntVar(&c.operations, "operations", 400_000, "operations in all")
	f.DurationVar(&c.longest, "longest", 90*time.Second, "end the load after this time, however many operations are done")
	f.Float64Var(&c.faults.Loss, "loss", 0.005, "share of frames lost, in each direction of each link")
	f.Float64Var(&c.faults.Duplicate, "duplicate", 0.005, "share of frames duplicated")
	f.Float64Var(&c.faults.Delay, "delay", 0.005, "share of frames delayed by 0.2 to 5 ms")
	f.Float64Var(&c.faults.Reorder, "reorder", 0.01, "share of frames held back until later ones have passed")
	f.IntVar(&c.workload.Keys, "keys", 1000, "keys that are read and written")
	f.Float64Var(&c.workload.Skew, "zipf", 0.99, "exponent of Zipf's law by which they are chosen")
	f.Float64Var(&c.workload.Writes, "writes", 0.3, "share of writes")
	f.IntVar(&c.workload.DeleteKeys, "delete-keys", 64, "further keys, which are deleted too")
	f.Float64Var(&c.workload.Deletes, "deletes", 0.05, "share of operations on those")
	f.IntVar(&c.workload.ValueSize, "value-size", 64, "bytes of a value, at most 1000; more than given if needed to make it unique")
	f.Uint64Var(&c.workload.Seed, "seed", 1, "for the choices of clients and network")
	if err := command.ParseFlags(f, args); err != nil {
		return c, err
	}
	c.faults.DelayMin, c.faults.DelayMax = 200*time.Microsecond, 5*time.Millisecond
	if c.workload.ValueSize < 0 || c.workload.ValueSize > 1000 {
		return c, fmt.Errorf("-value-size %d is not between 0 and 1000", c.workload.ValueSize)
	}
	var err error
	c.executable, err = command.Dalio(c.executable)
	return c, err
}

func main() {
	ctx, c := command.Start("demo", parse, exitFailed)
	verdict, err := run(ctx, c)
	if err != nil {
		command.Fail("demo", err, exitFailed)
	}
	switch verdict {
	case linear.Linearizable:
		os.Exit(exitLinearizable)
	case linear.NotLinearizable:
		os.Exit(exitNotLinearizable)
	}
	os.Exit(exitUndecided)
}

func run(ctx context.Context, c config) (verdict string, err error) {
	if err := command.NeedRoot(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return "", fmt.Errorf("make the folder for the results: %w", err)
	}
	s := &Summary{Seed: c.workload.Seed, Replicas: c.replicas, Clients: c.clients, Keys: c.workload.Keys + c.workload.DeleteKeys,
		Object: c.object, History: "history.jsonl"}
	history := filepath.Join(c.dir, s.History)
	// An old summary must not be taken for this run's.
	for _, old := range []string{history, filepath.Join(c.dir, "summary.json")} {
		if err := os.Remove(old); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("remove the last run's results: %w", err)
		}
	}
	fmt.Printf("dalio demo: a coordinator in XDP, %d replicas and %d clients in network namespaces of this machine\n", c.replicas, c.clients)
	if err := drive(ctx, c, s, history); err != nil {
		return "", err
	}
	if err := audit(ctx, s, history); err != nil {
		return "", err
	}
	if err := s.write(filepath.Join(c.dir, "summary.json")); err != nil {
		return "", err
	}
	s.print(os.Stdout, c.dir)
	return s.Verdict, nil
}

// audit has the history judged.
func audit(ctx context.Context, s *Summary, history string) error {
	fmt.Printf("auditing %d operations\n", s.Total)
	start := time.Now()
	report, err := linear.CheckFile(ctx, history, linear.Options{Timeout: 2 * time.Minute})
	if err != nil {
		return fmt.Errorf("audit the history: %w", err)
	}
	s.Audit, s.Verdict = time.Since(start).Seconds(), report.Verdict
	for _, key := range report.Keys {
		if key.Verdict != linear.Linearizable {
			s.BadKeys = append(s.BadKeys, key.Key)
		}
	}
	return nil
}

func isTerminal() bool { return term.IsTerminal(int(os.Stdout.Fd())) }
