// SPDX-License-Identifier: Apache-2.0

// Command proof proves that Dalio.tla implements Register.tla for any number of
// clients, replicas, sessions, keys, values and requests, and that what it proves
// this of is Dalio.tla.
//
//	go run ./spec/proof [-short] [-limit 5m] [-evidence README.md]
//	go run ./spec/proof -needs
//
// z3 proves an inductive invariant (theory/*.fol): that it holds at the start,
// and that every action preserves it and is a step of the register. Then it finds
// a state in which each action is taken, and for each cure that is left out one
// in which an action breaks the invariant. Last, every step of some models of the
// specification, as TLC prints them, is compared with those of the theory.
//
// The exit status is 1 if anything is not as it must be: a condition that the
// solver cannot decide is not proved.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"dalio/checker/evidence"
	"dalio/spec/proof/theory"
)

// Models whose steps are compared; the short form takes those of shortModels.
var (
	shortModels = []string{"one_replica"}
	allModels   = []string{"one_replica", "delete", "live_write", "collect", "slot", "reclaim", "two_writes"}
)

func main() {
	short := flag.Bool("short", false, "compare the steps of few and small models only")
	limit := flag.Duration("limit", 5*time.Minute, "the time that a single question to z3 may take")
	table := flag.String("evidence", "", "write the figures into the evidence table of this `file`")
	needs := flag.Bool("needs", false, "only print which action needs which conjunct of the invariant")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *needs {
		t, err := theory.Dalio()
		if err == nil {
			err = printNeeds(ctx, os.Stdout, t, *limit)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "proof:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(ctx, *short, *limit, *table); err != nil {
		fmt.Fprintln(os.Stderr, "proof:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, short bool, limit time.Duration, table string) error {
	from := time.Now()
	t, err := theory.Dalio()
	if err != nil {
		return fmt.Errorf("the theory: %w", err)
	}
	j := &judge{ctx: ctx, theory: t, limit: limit, out: os.Stdout, work: filepath.Join("build", "proof"), models: allModels}
	if short {
		j.models = shortModels
	}
	if err := os.MkdirAll(j.work, 0o755); err != nil {
		return err
	}
	for _, part := range []func() error{j.prove, j.examples, j.cures, j.edges} {
		if err := part(); err != nil {
			return err
		}
	}
	fmt.Printf("\nproof: %s, in %.0f s\n", j.summary(), time.Since(from).Seconds())
	if j.failures > 0 {
		return fmt.Errorf("%d failures", j.failures)
	}
	if table != "" {
		return evidence.Write(table, "proof", j.summary())
	}
	return nil
}
