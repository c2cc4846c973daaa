// SPDX-License-Identifier: Apache-2.0

// Command latency measures how long operations of a whole shard take at rates that
// clients offer, in an open loop. It writes latency.json and latency.svg, and prints a
// table.
//
// Exit status: 0 measured, 1 it could not be measured, 2 wrong usage.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"dalio/impl/cmd/internal/command"
	"dalio/impl/latency"
)

const (
	exitFailed = iota + 1
	exitUsage
)

type config struct {
	dir, executable string
	settings        latency.Settings
}

func parse(args []string) (config, error) {
	c := config{settings: latency.DefaultSettings()}
	f := flag.NewFlagSet("latency", flag.ContinueOnError)
	f.StringVar(&c.dir, "dir", "build/bench", "where the results go; the shard's files are in it meanwhile")
	f.StringVar(&c.executable, "dalio", "", "the dalio command (default: beside this one)")
	f.IntVar(&c.settings.Clients, "clients", c.settings.Clients, "operations that may be open at a time")
	f.IntVar(&c.settings.Sockets, "sockets", c.settings.Sockets, "sockets that they share")
	f.IntVar(&c.settings.Keys, "keys", c.settings.Keys, "keys")
	f.IntVar(&c.settings.ValueSize, "value-size", c.settings.ValueSize, "bytes of a value")
	f.IntVar(&c.settings.Rounds, "rounds", c.settings.Rounds, "rounds, in each of which every rate is offered once")
	f.DurationVar(&c.settings.Window, "window", c.settings.Window, "for how long a rate is offered")
	f.DurationVar(&c.settings.Warm, "warm", c.settings.Warm, "load before each sample")
	if err := command.ParseFlags(f, args); err != nil {
		return c, err
	}
	var err error
	if c.executable, err = command.Dalio(c.executable); err != nil {
		return c, err
	}
	return c, command.NeedRoot()
}

func main() {
	ctx, c := command.Start("latency", parse, exitUsage)
	progress := func(done, all int, what string) { fmt.Printf("%d of %d: %s\n", done, all, what) }
	report, err := latency.Run(ctx, c.settings, c.executable, filepath.Join(c.dir, "latency"), progress)
	if ctx.Err() != nil {
		err = errors.New("interrupted; everything that was started has ended")
	}
	if err == nil {
		err = errors.Join(report.Write(c.dir), report.Print(os.Stdout))
	}
	if err != nil {
		command.Fail("latency", err, exitFailed)
	}
	fmt.Printf("\n%s has every sample, %s shows them; it took %.0f s\n", filepath.Join(c.dir, "latency.json"), filepath.Join(c.dir, "latency.svg"), report.Took)
}
