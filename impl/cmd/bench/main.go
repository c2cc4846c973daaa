// SPDX-License-Identifier: Apache-2.0

// Command bench measures what a coordinator costs: Dalio's XDP program, the same
// coordination over plain sockets in C and in Go, a stateless XDP program that bounds the
// one, the same at TC, a bare echo that bounds the others, and for reads nginx and nftables,
// which only balance; then whole systems, real replicas and clients, with some of those
// coordinators; and a whole shard whose clients all use one key. It writes report.json and
// hot-key.json, plots, and prints tables.
//
// Exit status: 0 measured, 1 it could not be measured, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/term"

	"dalio/impl/bench"
	"dalio/impl/cmd/internal/command"
	"dalio/impl/load"
	"dalio/impl/wholesystem"
)

const (
	exitMeasured = iota
	exitFailed
	exitUsage
)

// config is the command line.
type config struct {
	dir    string
	object string
	// executable is the dalio command, for whole systems and the hot key.
	executable string
	hotKey     bool
	balancers  bool
	events     bool
	rounds     int
	timing     bench.Timing
	unloaded   time.Duration
	settings   bench.Settings
	whole      wholesystem.Settings
	mixes      []load.Mix
}

func parse(args []string) (config, error) {
	c := config{settings: bench.DefaultSettings(), whole: wholesystem.DefaultSettings()}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&c.dir, "dir", "build/bench", "where the results go")
	f.StringVar(&c.object, "object", "", "an object file to load in place of the built-in data plane")
	f.StringVar(&c.executable, "dalio", "", "the dalio command (default: beside this one)")
	f.BoolVar(&c.hotKey, "hot-key", true, "measure one hot key through a real shard, too")
	f.BoolVar(&c.balancers, "balancers", true, "measure reads through nginx and nftables, too")
	f.BoolVar(&c.events, "events", false, "measure Dalio that tells events, too")
	f.IntVar(&c.rounds, "rounds", 12, "rounds, in each of which everything is measured once, 0 to leave the coordinator alone out")
	f.DurationVar(&c.timing.Window, "window", time.Second, "length of a sample")
	f.DurationVar(&c.timing.Warm, "warm", 200*time.Millisecond, "load before each sample")
	f.DurationVar(&c.unloaded, "unloaded", 150*time.Millisecond, "length of a sample of unloaded latency; 0 for none")
	f.IntVar(&c.settings.Replicas, "replicas", c.settings.Replicas, "replicas, 1 to 16")
	f.IntVar(&c.settings.InFlight, "in-flight", c.settings.InFlight, "frames on their way at a time: clients are as many as make them")
	f.IntVar(&c.settings.Lanes, "lanes", c.settings.Lanes, "clients, each with one request open, 0 for as many as -in-flight says")
	f.IntVar(&c.settings.Keys, "keys", c.settings.Keys, "keys")
	f.IntVar(&c.settings.KeySize, "key-size", c.settings.KeySize, "bytes of a key")
	f.IntVar(&c.settings.ValueSize, "value-size", c.settings.ValueSize, "bytes of a value")
	mixes := f.String("whole-mixes", "a,b,c", "YCSB's mixes that whole systems do; there is d, too")
	f.IntVar(&c.whole.Rounds, "whole-rounds", c.whole.Rounds, "rounds of whole systems, 0 to leave them out")
	f.DurationVar(&c.whole.Window, "whole-window", c.whole.Window, "length of a sample of a whole system")
	f.DurationVar(&c.whole.Warm, "whole-warm", c.whole.Warm, "load before each of them")
	f.IntVar(&c.whole.Keys, "whole-keys", c.whole.Keys, "keys of whole systems")
	f.IntVar(&c.whole.Clients, "whole-clients", c.whole.Clients, "clients of whole systems, each with one operation open")
	f.IntVar(&c.whole.Sockets, "whole-sockets", c.whole.Sockets, "sockets that they share")
	if err := command.ParseFlags(f, args); err != nil {
		return c, err
	}
	if c.rounds < 0 || c.whole.Rounds < 0 {
		return c, errors.New("there can't be fewer rounds than none")
	}
	c.whole.Replicas, c.whole.ValueSize = c.settings.Replicas, c.settings.ValueSize
	var err error
	if c.mixes, err = load.YCSB(*mixes); err != nil {
		return c, err
	}
	c.executable, err = command.Dalio(c.executable)
	return c, err
}

func main() {
	ctx, c := command.Start("bench", parse, exitUsage)
	err := run(ctx, c)
	if ctx.Err() != nil {
		err = errors.New("interrupted; everything that was set up has been removed")
	}
	if err != nil {
		command.Fail("bench", err, exitFailed)
	}
}

func run(ctx context.Context, c config) error {
	if os.Geteuid() != 0 {
		return errors.New("root is needed, for network namespaces, XDP programs and the priority of processes")
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return fmt.Errorf("allow BPF maps: %w", err)
	}
	var err error
	if c.settings.CoordinatorCPU, c.settings.SurroundingsCPU, err = bench.Processors(); err != nil {
		return err
	}
	programs, err := bench.BuildPrograms(ctx, filepath.Join(c.dir, "bin"))
	if err != nil {
		return err
	}
	if c.rounds > 0 {
		fmt.Printf("dalio bench: coordinator on processor %d, clients and %d replicas in the kernel on processor %d, %s\n",
			c.settings.CoordinatorCPU, c.settings.Replicas, c.settings.SurroundingsCPU, c.settings.Load())
	}
	c.timing.Awake = programs.Awake
	suite := &bench.Suite{
		Settings: c.settings, Timing: c.timing, Rounds: c.rounds,
		Unloaded: bench.Timing{Warm: c.unloaded / 5, Window: c.unloaded, Awake: programs.Awake},
		Dalio:    bench.Dalio{Object: c.object}, Limits: []bench.Contender{bench.Limit{}, bench.Limit{Prefetch: true}},
		Echo:     bench.Process{Label: "echo", Path: programs.Echo, Echo: true},
		Progress: progress(),
	}
	for _, p := range programs.Coordinators() {
		suite.Rivals = append(suite.Rivals, p)
	}
	suite.Rivals = append(suite.Rivals, bench.TC{})
	if c.balancers && c.rounds > 0 {
		if suite.Balancers, err = bench.Balancers(filepath.Join(c.dir, "nginx")); err != nil {
			return err
		}
	}
	// One message has nothing that could be cut into segments.
	for _, r := range suite.Rivals {
		if r.Name() != "c_gso" {
			suite.UnloadedRivals = append(suite.UnloadedRivals, r)
		}
	}
	suite.Rivals = append(suite.Rivals, bench.Dalio{Object: c.object, NoPrefetch: true})
	if c.events {
		suite.Rivals = append(suite.Rivals, bench.Dalio{Empty: programs.Empty})
	}
	report, err := suite.Run(ctx)
	if err != nil {
		return err
	}
	if err := alone(c, report); err != nil {
		return err
	}
	if c.whole.Rounds > 0 {
		if err := wholeSystem(ctx, c, programs, report); err != nil {
			return err
		}
	}
	path := filepath.Join(c.dir, "report.json")
	if err := errors.Join(report.Write(path), report.PrintRatios(os.Stdout)); err != nil {
		return err
	}
	fmt.Printf("\n%s has every sample\n", path)
	if c.hotKey {
		return hotKey(ctx, c)
	}
	return nil
}

// alone shows what was measured of coordinators alone. It is written before more is
// measured, which may fail.
func alone(c config, report *bench.Report) error {
	if c.rounds == 0 {
		return nil
	}
	plot := filepath.Join(c.dir, "cpu.svg")
	if err := errors.Join(report.Write(filepath.Join(c.dir, "report.json")), report.PlotCPU(plot), report.Print(os.Stdout)); err != nil {
		return err
	}
	fmt.Printf("\n%s shows every sample; it took %.0f s\n", plot, report.Took)
	return nil
}

// progress returns what says how far it is: each sample on a terminal, each
// tenth of the whole elsewhere.
func progress() func(done, all int, contender, workload string) {
	terminal := term.IsTerminal(int(os.Stdout.Fd()))
	last := -1
	return func(done, all int, contender, workload string) {
		switch tenth := done * 10 / all; {
		case terminal:
			fmt.Printf("\r%d of %d samples: %-10s %-10s", done, all, workload, contender)
		case tenth != last:
			fmt.Printf("%d of %d samples\n", done, all)
			last = tenth
		}
	}
}
