// SPDX-License-Identifier: Apache-2.0

// Command systems measures whole replicated stores on the same operations: Dalio, etcd
// and Redis, in memory and on disk. It writes systems.json and systems.svg, and prints
// tables.
//
// Exit status: 0 measured, 1 it could not be measured, 2 wrong usage.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dalio/impl/cmd/internal/command"
	"dalio/impl/systems"
)

const (
	exitFailed = iota + 1
	exitUsage
)

type config struct {
	dir      string
	settings systems.Settings
	systems  []systems.System
}

func parse(args []string) (config, error) {
	c := config{settings: systems.DefaultSettings()}
	f := flag.NewFlagSet("systems", flag.ContinueOnError)
	f.StringVar(&c.dir, "dir", "build/bench", "where the results go; what systems store is in it meanwhile")
	executable := f.String("dalio", "", "the dalio command (default: beside this one)")
	only := f.String("only", "", "names of the systems to measure, with commas between (default: all)")
	f.IntVar(&c.settings.Clients, "clients", c.settings.Clients, "clients, each with one request open")
	f.IntVar(&c.settings.Keys, "keys", c.settings.Keys, "keys")
	f.IntVar(&c.settings.ValueSize, "value-size", c.settings.ValueSize, "bytes of a value")
	f.IntVar(&c.settings.Rounds, "rounds", c.settings.Rounds, "rounds, in each of which every system is started and measured once")
	f.DurationVar(&c.settings.Window, "window", c.settings.Window, "length of a sample")
	f.DurationVar(&c.settings.Warm, "warm", c.settings.Warm, "load before each sample")
	if err := command.ParseFlags(f, args); err != nil {
		return c, err
	}
	path, err := command.Dalio(*executable)
	if err != nil {
		return c, err
	}
	wanted := strings.Split(*only, ",")
	var names []string
	for _, s := range systems.All(path) {
		names = append(names, s.Name())
		if *only == "" || slices.Contains(wanted, s.Name()) {
			c.systems = append(c.systems, s)
		}
	}
	if *only != "" && len(c.systems) != len(wanted) {
		return c, fmt.Errorf("-only %s: the systems are %s", *only, strings.Join(names, ", "))
	}
	return c, command.NeedRoot()
}

func main() {
	systems.BeMember()
	ctx, c := command.Start("systems", parse, exitUsage)
	fmt.Printf("dalio systems: %d clients in Go, %d keys, values of %d bytes, %d rounds of %v for each mix\n",
		c.settings.Clients, c.settings.Keys, c.settings.ValueSize, c.settings.Rounds, c.settings.Window)
	progress := func(done, all int, system string) { fmt.Printf("%d of %d: %s\n", done, all, system) }
	report, err := systems.Run(ctx, c.settings, c.systems, filepath.Join(c.dir, "systems"), progress)
	if ctx.Err() != nil {
		err = errors.New("interrupted; everything that was started has ended")
	}
	if err == nil {
		err = errors.Join(report.Write(c.dir), report.Print(os.Stdout))
	}
	if err != nil {
		command.Fail("systems", err, exitFailed)
	}
	fmt.Printf("\n%s has every sample, %s shows them; it took %.0f s\n", filepath.Join(c.dir, "systems.json"), filepath.Join(c.dir, "systems.svg"), report.Took)
}
