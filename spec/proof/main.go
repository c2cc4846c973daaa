// SPDX-License-Identifier: Apache-2.0

// Command proof proves that Dalio.tla implements Register.tla for any number of
// clients, replicas, sessions, keys, values and requests, and of Shard.tla what
// holds of membership and failover for any number of coordinators, replicas and
// epochs; and that what it proves this of is the specification.
//
//	go run ./spec/proof [-short] [-limit 5m] [-evidence README.md]
//	go run ./spec/proof -model collect
//	go run ./spec/proof -needs
//
// z3 proves inductive invariants (theory/*.fol): that they hold at the start, and
// that every action preserves them and is a step of the register. Then it finds
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
	"runtime/debug"
	"syscall"
	"time"

	"dalio/checker/evidence"
)

func main() {
	short := flag.Bool("short", false, "compare the steps of small models only, and let these show that every action is taken")
	limit := flag.Duration("limit", 5*time.Minute, "the time that a single question to z3 may take")
	table := flag.String("evidence", "", "write the figures into the evidence table of this `file`")
	model := flag.String("model", "", "only compare the steps of the model of this `name`")
	needs := flag.Bool("needs", false, "only print which action needs which conjunct of the invariant")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *needs {
		all, err := proofs()
		for i := 0; i < len(all) && err == nil; i++ {
			err = printNeeds(ctx, os.Stdout, all[i].theory, *limit)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "proof:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(ctx, *short, *model, *limit, *table); err != nil {
		fmt.Fprintln(os.Stderr, "proof:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, short bool, model string, limit time.Duration, table string) error {
	debug.SetGCPercent(400) // much is made and forgotten, little is kept
	from := time.Now()
	all, err := proofs()
	if err != nil {
		return err
	}
	j := &judge{ctx: ctx, limit: limit, out: os.Stdout, work: filepath.Join("build", "proof"), short: short, model: model}
	if err := os.MkdirAll(j.work, 0o755); err != nil {
		return err
	}
	for _, j.proof = range all {
		parts := []func() error{j.prove, j.cures, j.edges, j.examples}
		switch {
		case model != "":
			parts = parts[2:3]
		case short: // in the models each action is taken, from states that satisfy the invariant
			parts = parts[:3]
		}
		for _, part := range parts {
			if err := part(); err != nil {
				return fmt.Errorf("%s: %w", j.name, err)
			}
		}
	}
	fmt.Printf("\nproof: %s, in %.0f s\n", j.summary(), time.Since(from).Seconds())
	if j.failures > 0 {
		return fmt.Errorf("%d failures", j.failures)
	}
	if table != "" && model == "" {
		return evidence.Write(table, "proof", j.summary())
	}
	return nil
}
