// SPDX-License-Identifier: Apache-2.0

// Command conform compares the specification with the code that is to do what it
// says: every step of every conformance model is taken by the Go model, and by the
// control plane's logic; and every pair of a state and a packet by the bytecode.
//
//	conform [--short] [--only REGEXP] [--evidence README.md]
//
// It ends with status 0 if all is equal, 1 if something differs or could not be
// compared, and 2 if it was called wrongly.
package main

import (
	"context"
	"errors"
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
		fail("the code is not what the specification says, or they could not be compared: %v", err)
	}
	packets, err := pairs.Run(ctx, os.Stdout, pairs.Options{Root: ".", Short: *short, Only: pattern})
	if err != nil {
		fail("the bytecode is not what the specification says, or they could not be compared: %v", err)
	}
	switch none := result.Models == 0; {
	case none && packets.Pairs == 0 && pattern != nil:
		usage("--only: no model that is to be compared has such a name")
	case (none || packets.Pairs == 0) && pattern == nil:
		fail("there is nothing to compare: no models of steps, or none of pairs")
	}
	fmt.Printf("conform: %d models, %d states, %d steps taken, %d altered rules noticed, in %.0f s\n", result.Models, result.States, result.Taken, result.Noticed, time.Since(started).Seconds())
	if *page != "" {
		steps := fmt.Sprintf("%d of %d different transitions of %d models, every action taken, %d altered rules noticed",
			result.Steps, result.Steps, result.Models, result.Noticed)
		if err := errors.Join(evidence.Write(*page, "conform", steps), evidence.Write(*page, "pairs", packets.Figures())); err != nil {
			fail("%v", err)
		}
	}
	fmt.Printf("transitions: %d of %d on the model, %d of %d on the bytecode\n", result.Steps, result.Steps, packets.Pairs, packets.Pairs)
}

// fail ends the command because something differs, or could not be compared or told.
func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "conform: "+format+"\n", args...)
	os.Exit(1)
}

func usage(problem string) {
	fmt.Fprintf(os.Stderr, "conform: %s\n", problem)
	flag.Usage()
	os.Exit(2)
}
