// SPDX-License-Identifier: Apache-2.0

// Command chaos runs a shard on this machine, breaks it in every way that it must
// survive while clients use it, and has what they saw audited, together with a
// read of every key at the end.
//
// Exit status: 0 linearizable and served, 1 not linearizable, 2 it could not be
// run, 3 undecided, 4 linearizable, but not served or not broken as it should be.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"

	"dalio/checker/linear"
	"dalio/impl/cmd/internal/command"
)

const (
	exitServed = iota
	exitNotLinearizable
	exitFailed
	exitUndecided
	exitNotServed
)

type config struct {
	dir        string
	executable string
	duration   time.Duration
	seed       uint64
	durable    bool
	events     bool
	only       *regexp.Regexp
	replicas   int
	clients    int
	rate       int
	keys       int
	// minServed is the share of seconds with progress below which a run fails.
	minServed float64
}

func parse(args []string) (config, error) {
	var c config
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.StringVar(&c.dir, "dir", "build/chaos", "where the results go")
	f.StringVar(&c.executable, "dalio", "", "the dalio command (default: beside this one)")
	f.DurationVar(&c.duration, "duration", time.Minute, "how long the shard is broken")
	f.Uint64Var(&c.seed, "seed", uint64(time.Now().UnixNano()), "of the plan of faults, the network and the load (default: from the time)")
	f.BoolVar(&c.durable, "durable", false, "give the replicas disks, and break those too")
	f.BoolVar(&c.events, "events", false, "record what the processes do, in shard/events, for go run ./spec/trace -failures")
	f.Func("only", "a regular expression: the faults that are injected (default: all)", func(expression string) (err error) {
		c.only, err = regexp.Compile(expression)
		return err
	})
	f.IntVar(&c.replicas, "replicas", 3, "replicas, 3 to 16")
	f.IntVar(&c.clients, "clients", 48, "operations in flight")
	f.IntVar(&c.rate, "rate", 4000, "operations a second, at most")
	f.IntVar(&c.keys, "keys", 200, "keys that are read and written")
	f.Float64Var(&c.minServed, "min-served", 0.8, "share of the seconds in which reads and writes must go on")
	if err := command.ParseFlags(f, args); err != nil {
		return c, err
	}
	switch {
	case c.replicas < 3 || c.replicas > 16:
		return c, fmt.Errorf("-replicas %d: want 3 to 16", c.replicas)
	case c.events && c.durable:
		return c, errors.New("-events with -durable: a trace does not tell what a replica's disk has brought back")
	case c.clients < 1 || c.rate < 1 || c.keys < 1 || c.duration < time.Second:
		return c, errors.New("-clients, -rate and -keys must be at least 1, and -duration a second")
	}
	var err error
	c.executable, err = command.Dalio(c.executable)
	return c, err
}

func main() {
	ctx, c := command.Start("chaos", parse, exitFailed)
	report, err := run(ctx, c)
	if err != nil {
		command.Fail("chaos", err, exitFailed)
	}
	switch {
	case report.Verdict == linear.NotLinearizable:
		fmt.Fprintf(os.Stderr, "chaos: not linearizable; %s has the history, the faults and the logs; seed %d\n", c.dir, c.seed)
		os.Exit(exitNotLinearizable)
	case report.Verdict != linear.Linearizable:
		os.Exit(exitUndecided)
	case float64(report.Served) < c.minServed*float64(report.WholeSeconds):
		fmt.Fprintf(os.Stderr, "chaos: served in %d of %d seconds, want a share of %.2f; seed %d\n", report.Served, report.WholeSeconds, c.minServed, c.seed)
		os.Exit(exitNotServed)
	}
}
