// SPDX-License-Identifier: Apache-2.0

// Command tlc runs the model checker TLC on the configurations of the
// specification, and accepts nothing but the results pinned in its manifest.
//
//	go run ./spec/tlc [-full] [-only NAME] spec|must-fail...
//
// "spec" checks the models that must pass: no error, and exactly the pinned
// numbers of states. "must-fail" checks the configurations that lack one cure:
// each must differ from a passing model in that one constant, and TLC must
// report exactly the violation that the manifest names. Where clients can tell,
// what they saw in TLC's counterexample is also written out as a history, which
// the audit must find not linearizable.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"dalio/spec/jar"
)

func main() {
	full := flag.Bool("full", false, "run the large models too")
	only := flag.String("only", "", "run only the configuration of this `name`")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: go run ./spec/tlc [-full] [-only NAME] spec|must-fail...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := checkSets(flag.Args())
	for _, set := range flag.Args() {
		if err == nil {
			err = run(ctx, os.Stdout, set, *full, *only)
		}
	}
	if errors.Is(err, errUsage) {
		fmt.Fprintln(os.Stderr, err)
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// errUsage marks errors of the command line.
var errUsage = errors.New("bad usage")

// sets are the sets of configurations, by their names on the command line.
var sets = map[string]func(m *Manifest, full bool, only string) []job{
	"spec":      (*Manifest).modelJobs,
	"must-fail": func(m *Manifest, _ bool, only string) []job { return m.mustFailJobs(only) },
}

// checkSets refuses what is no set before the first is run, which may take long.
func checkSets(names []string) error {
	for _, name := range names {
		if sets[name] == nil {
			return fmt.Errorf("%w: %q is neither spec nor must-fail; flags come before these", errUsage, name)
		}
	}
	return nil
}

// run checks one set of configurations and prints the result of each.
func run(ctx context.Context, out io.Writer, set string, full bool, only string) error {
	root, err := jar.Root()
	if err != nil {
		return err
	}
	manifest, err := readManifest(filepath.Join(root, "spec", "manifest.json"))
	if err != nil {
		return err
	}
	sources, err := readModules(filepath.Join(root, "spec"))
	if err != nil {
		return err
	}
	if err := manifest.checkCoverage(sources); err != nil {
		return err
	}
	jobs := sets[set](manifest, full, only)
	if len(jobs) == 0 {
		return fmt.Errorf("%w: no configuration of %s is named %q", errUsage, set, only)
	}
	tlc, err := jar.Fetch(ctx, root, manifest.TLC)
	if err != nil {
		return err
	}
	checker := &checker{root: root, jar: tlc, sources: sources, broken: manifest.OnlyBroken, out: out}
	results := checker.runAll(ctx, jobs)
	return summarize(out, set, results)
}

// summarize prints the last line, and returns an error unless all is well.
func summarize(out io.Writer, set string, results []result) error {
	good, audited, distinct := 0, 0, 0
	for _, r := range results {
		if r.err == nil {
			good++
		}
		if r.audited {
			audited++
		}
		distinct += r.output.Distinct
	}
	if set == "spec" {
		fmt.Fprintf(out, "spec: %d of %d models pass, %d distinct states\n", good, len(results), distinct)
	} else {
		fmt.Fprintf(out, "must-fail: %d of %d refuted, %d of them by the audit of what clients saw too\n", good, len(results), audited)
	}
	if good != len(results) {
		return fmt.Errorf("%s: %d of %d configurations are not as the manifest says", set, len(results)-good, len(results))
	}
	return nil
}
