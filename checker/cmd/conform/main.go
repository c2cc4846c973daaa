// SPDX-License-Identifier: Apache-2.0

// Command conform compares the specification with the code that is to do what it
// says: every step of every conformance model is taken by the Go model, and by the
// control plane's logic; and every pair of a state and a packet by the bytecode. With
// --only the latter is left out.
//
//	conform [--short] [--only REGEXP] [--evidence README.md]
//
// It ends with status 0 if all is equal, 1 if something differs or could not be
// compared, and 2 if it was called wrongly.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"dalio/checker/cmd/conform/shard"
	"dalio/checker/conform/dalio"
	"dalio/checker/conform/edges"
	"dalio/checker/conform/pairs"
	"dalio/checker/evidence"
	"dalio/spec/cfg"
	"dalio/spec/tla"
)

func main() {
	short := flag.Bool("short", false, "compare the small models only")
	only := flag.String("only", "", "compare only the models whose name matches this `regexp`")
	second := flag.String("second", "build/tools/bin/tla", "the `path` of the second checker")
	page := flag.String("evidence", "", "write the figures into the evidence table of this `file`")
	flag.Parse()
	var pattern *regexp.Regexp
	if *only != "" {
		var err error
		if pattern, err = regexp.Compile(*only); err != nil {
			usage(fmt.Sprintf("--only: %v", err))
		}
	}
	if flag.NArg() > 0 {
		usage("there are no arguments besides the flags")
	}
	if *page != "" && (*short || *only != "") {
		usage("--evidence is for a run of everything")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	started := time.Now()
	result, err := edges.Run(ctx, ".", edges.Options{Short: *short, Only: pattern, Out: os.Stdout, Second: *second, Altered: append(dalio.Altered(), shard.Altered()...),
		Machines: map[string]func(cfg.Config, tla.Value) (edges.Coded, error){
			"DalioEdges": func(c cfg.Config, calls tla.Value) (edges.Coded, error) { return dalio.New(c, calls) },
			"ShardEdges": func(c cfg.Config, calls tla.Value) (edges.Coded, error) { return shard.New(c, calls) },
		}})
	if err != nil {
		fmt.Fprintf(os.Stderr, "conform: the code is not what the specification says, or they could not be compared: %v\n", err)
		os.Exit(1)
	}
	var packets pairs.Counts
	if pattern == nil {
		packets, err = pairs.Run(ctx, os.Stdout, pairs.Options{Root: ".", Short: *short})
		if err != nil {
			fmt.Fprintf(os.Stderr, "conform: the bytecode is not what the specification says, or they could not be compared: %v\n", err)
			os.Exit(1)
		}
	}
	fmt.Printf("conform: %d models, %d states, %d steps taken, %d altered rules noticed, in %.0f s\n", result.Models, result.States, result.Taken, result.Noticed, time.Since(started).Seconds())
	if *page != "" {
		figures := fmt.Sprintf("%d of %d different transitions of %d models, every action taken, %d altered rules noticed; %d of %d different pairs of state and packet on the bytecode",
			result.Steps, result.Steps, result.Models, result.Noticed, packets.Pairs, packets.Pairs)
		if err := evidence.Write(*page, "conform", figures); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fmt.Printf("transitions: %d of %d on the model", result.Steps, result.Steps)
	if pattern == nil {
		fmt.Printf(", %d of %d on the bytecode", packets.Pairs, packets.Pairs)
	}
	fmt.Println()
}

func usage(problem string) {
	fmt.Fprintf(os.Stderr, "conform: %s\n", problem)
	flag.Usage()
	os.Exit(2)
}
