// SPDX-License-Identifier: Apache-2.0

// Command growth measures how costs grow: the coordinator's processor time per operation
// with keys, clients, replicas and the size of values, and the memory of coordinator and
// replica. It writes curves.json, curves.svg and memory.json, and prints tables with a
// verdict for each promise.
//
// Exit status: 0 measured, whatever the verdicts; 1 it could not be measured, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/cilium/ebpf/rlimit"

	"dalio/impl/bench"
	"dalio/impl/bench/growth"
	"dalio/impl/cmd/internal/command"
)

const (
	exitFailed = iota + 1
	exitUsage
)

type config struct {
	dir, executable string
	curves, memory  bool
	rounds          int
	timing          bench.Timing
	only            *regexp.Regexp
	filling         growth.MemorySettings
}

func parse(args []string) (config, error) {
	c := config{filling: growth.DefaultMemorySettings()}
	f := flag.NewFlagSet("growth", flag.ContinueOnError)
	f.StringVar(&c.dir, "dir", "build/bench", "where the results go; what runs is in it meanwhile")
	f.StringVar(&c.executable, "dalio", "", "the dalio command (default: beside this one)")
	f.BoolVar(&c.curves, "curves", true, "measure the coordinator's processor time")
	f.BoolVar(&c.memory, "memory", true, "measure memory")
	f.IntVar(&c.rounds, "rounds", 10, "rounds, in each of which every point is measured once")
	f.DurationVar(&c.timing.Window, "window", 250*time.Millisecond, "length of a sample")
	f.DurationVar(&c.timing.Warm, "warm", 50*time.Millisecond, "load before each sample")
	only := f.String("only", "", "measure the curves whose names match this `regexp`, such as keys or write$")
	f.IntVar(&c.filling.Few, "few-keys", c.filling.Few, "keys in a replica at first")
	f.IntVar(&c.filling.Many, "many-keys", c.filling.Many, "keys in a replica in the end")
	f.IntVar(&c.filling.ValueSize, "value-size", c.filling.ValueSize, "bytes of a value in a replica")
	if err := command.ParseFlags(f, args); err != nil {
		return c, err
	}
	if c.rounds < 1 || c.timing.Window < time.Millisecond || c.timing.Warm < 0 {
		return c, fmt.Errorf("%d rounds of %v after %v: want at least one of 1ms", c.rounds, c.timing.Window, c.timing.Warm)
	}
	var err error
	if c.only, err = regexp.Compile(*only); err != nil {
		return c, fmt.Errorf("-only: %w", err)
	}
	if c.executable, err = command.Dalio(c.executable); err != nil {
		return c, err
	}
	return c, command.NeedRoot()
}

func main() {
	ctx, c := command.Start("growth", parse, exitUsage)
	err := run(ctx, c)
	if ctx.Err() != nil {
		err = errors.New("interrupted; everything that was set up has been removed")
	}
	if err != nil {
		command.Fail("growth", err, exitFailed)
	}
}

func run(ctx context.Context, c config) error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return fmt.Errorf("allow BPF maps: %w", err)
	}
	if c.curves {
		if err := curves(ctx, c); err != nil {
			return err
		}
	}
	if !c.memory {
		return nil
	}
	report, err := growth.MeasureMemory(ctx, c.filling, c.executable, c.dir, func(what string) { fmt.Println("memory of", what) })
	if err == nil {
		err = errors.Join(report.Write(c.dir), report.Print(os.Stdout))
	}
	if err == nil {
		fmt.Printf("\n%s has it; it took %.0f s\n", filepath.Join(c.dir, "memory.json"), report.Took)
	}
	return err
}

func curves(ctx context.Context, c config) error {
	settings := bench.DefaultSettings()
	var err error
	if settings.CoordinatorCPU, settings.SurroundingsCPU, err = bench.Processors(); err != nil {
		return err
	}
	if c.timing.Awake, err = bench.BuildAwake(ctx, filepath.Join(c.dir, "bin")); err != nil {
		return err
	}
	all := slices.DeleteFunc(growth.Curves(settings), func(curve growth.Curve) bool { return !c.only.MatchString(curve.Name()) })
	if len(all) == 0 {
		return errors.New("-only matches no curve")
	}
	last := -1
	progress := func(done, all int) {
		if tenth := done * 10 / all; tenth != last {
			fmt.Printf("%d of %d samples\n", done, all)
			last = tenth
		}
	}
	fmt.Printf("dalio growth: coordinator on processor %d, its surroundings on %d, %d rounds of %v for each point\n",
		settings.CoordinatorCPU, settings.SurroundingsCPU, c.rounds, c.timing.Window)
	report, err := growth.Run(ctx, settings, all, c.rounds, c.timing, progress)
	if err == nil {
		err = errors.Join(report.Write(c.dir), report.Print(os.Stdout))
	}
	if err == nil {
		fmt.Printf("\n%s has every sample, %s shows them; it took %.0f s\n", filepath.Join(c.dir, "curves.json"), filepath.Join(c.dir, "curves.svg"), report.Took)
	}
	return err
}
