// SPDX-License-Identifier: Apache-2.0

// Command mutate makes mutants of the specification, the Go code and the bytecode, by
// fixed operators and from a published seed, takes the cures out of the C code, and
// demands that the tests notice nearly all of them.
//
//	go run ./checker/mutate [-only bytecode,go,spec,c] [-sample] [-match REGEXP] [-parallel 2] [-evidence README.md]
//	go run ./checker/mutate -planted
//
// A mutant is killed when an assertion fails that holds for the original. One that
// the verifier refuses, or that TLC can't read, is none; one that ends by a panic, or
// comes to no end, is not killed. A cure that can't be tried as its table says is an
// error, as for checker/cures. Each mutant that nothing notices must be listed in the
// folder arguments, with why. What became of mutants of the Go code and of the
// specification is kept, so that a run that was stopped is gone on with.
// docs/mutation.md says more.
//
// With -planted it plants four mistakes instead, each of one character, and demands that
// the checks which notice them say their names.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"dalio/checker/evidence"
	"dalio/checker/mutate/bytecode"
	"dalio/checker/mutate/planted"
)

// seed is published: it says which of all mutants are tried.
const seed = 1

type options struct {
	sample bool
	// match chooses mutants by their names.
	match    *regexp.Regexp
	parallel int
	root     string
	out      io.Writer
}

// kind is what mutants are made of.
type kind struct {
	name string
	// least is how many there must be that are mutants at all.
	least int
	try   func(context.Context, *options) ([]outcome, error)
}

func kinds() []kind {
	return []kind{{"bytecode", 500, tryBytecode}, {"go", 200, tryGo}, {"spec", 50, trySpec}, {"c", 0, tryCures}}
}

func main() {
	var o options
	only := flag.String("only", "", "the `kinds` to try, with commas between: bytecode, go, spec, c")
	flag.BoolVar(&o.sample, "sample", false, "try a fixed sample, as with every change")
	flag.IntVar(&o.parallel, "parallel", 2, "how many are tried at a time")
	match := flag.String("match", "", "try only those whose names match this `regexp`, as while a test for them is written")
	table := flag.String("evidence", "", "a `README` into whose evidence table the figures are written")
	plant := flag.Bool("planted", false, "plant a mistake of one character in each of specification, Go model, C code and control plane")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var err error
	if o.match, err = regexp.Compile(*match); err != nil || flag.NArg() != 0 || o.parallel < 1 || *plant && flag.NFlag() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	o.out = os.Stdout
	if *plant {
		err = runPlanted(ctx, &o)
	} else {
		err = run(ctx, &o, *only, *table)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

// module returns the folder of the module that is checked out here.
func module(ctx context.Context) (string, error) {
	dir, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return strings.TrimSpace(string(dir)), nil
}

func runPlanted(ctx context.Context, o *options) (err error) {
	if o.root, err = module(ctx); err != nil {
		return err
	}
	return planted.Run(ctx, o.out, o.root)
}

func run(ctx context.Context, o *options, only, table string) (err error) {
	if o.root, err = module(ctx); err != nil {
		return err
	}
	began := time.Now()
	var all []outcome
	var scores []score
	var problems []error
	for _, k := range kinds() {
		if only != "" && !slices.Contains(strings.Split(only, ","), k.name) || only == "" && o.sample && k.name == "c" {
			continue // The sample of the cures has a command of its own.
		}
		from := time.Now()
		outcomes, err := k.try(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		s, err := judge(o, k, outcomes)
		if err != nil {
			problems = append(problems, err)
		}
		s.Seconds = time.Since(from).Seconds()
		fmt.Fprintln(o.out, s)
		if err == nil && table != "" && k.least != 0 && !o.part() {
			if err := evidence.Write(table, "mutate-"+k.name, s.cell()); err != nil {
				return err
			}
		}
		all, scores = append(all, outcomes...), append(scores, s)
	}
	if len(scores) == 0 {
		return fmt.Errorf("%q names no kind of mutants", only)
	}
	if err := report(o, all, scores); err != nil {
		return err
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	var parts []string
	for _, s := range scores {
		parts = append(parts, s.short())
	}
	fmt.Fprintf(o.out, "mutate: %s, %v\n", strings.Join(parts, "; "), time.Since(began).Round(time.Second))
	return nil
}

// chosen says whether a mutant is one of those that are tried.
func (o *options) chosen(name string, share float64) bool {
	return bytecode.Chosen(name, seed, share) && o.match.MatchString(name)
}

// part says whether only some of the mutants are tried that count.
func (o *options) part() bool { return o.sample || o.match.String() != "" }

// report keeps what became of each mutant, and lists those that lived.
func report(o *options, all []outcome, scores []score) error {
	dir := filepath.Join(o.root, "build", "mutate")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(struct {
		Seed    int       `json:"seed"`
		Sample  bool      `json:"sample"`
		Scores  []score   `json:"scores"`
		Mutants []outcome `json:"mutants"`
	}{seed, o.sample, scores, all}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "report.json"), text, 0o644)
}
