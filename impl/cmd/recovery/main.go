// SPDX-License-Identifier: Apache-2.0

// Command recovery measures how quickly a shard on this machine recovers from
// failures while clients use it, holds that to what is promised, and has what the
// clients saw audited. It writes report.json and recovery.svg.
//
// Exit status: 0 linearizable and quick enough, 1 not linearizable, 2 it could not
// be measured, 3 undecided, 4 linearizable, but not quick enough.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dalio/checker/linear"
	"dalio/impl/bench"
	"dalio/impl/cmd/internal/command"
	"dalio/impl/recovery"
)

const (
	exitMet = iota
	exitNotLinearizable
	exitFailed
	exitUndecided
	exitNotMet
)

const auditTimeout = 5 * time.Minute

type config struct {
	recovery.Options
	parts                  []string
	kills, hosts, controls int
	rejoinMB               int
}

// parts has what there is to measure, in order.
var parts = []struct {
	name string
	run  func(context.Context, *config) (*recovery.Part, error)
}{
	{"replica-killed", func(ctx context.Context, c *config) (*recovery.Part, error) {
		return recovery.ReplicaKilled(ctx, &c.Options, c.kills)
	}},
	{"host-lost", func(ctx context.Context, c *config) (*recovery.Part, error) {
		return recovery.HostLost(ctx, &c.Options, c.hosts)
	}},
	{"control-plane-killed", func(ctx context.Context, c *config) (*recovery.Part, error) {
		return recovery.ControlPlaneKilled(ctx, &c.Options, c.controls)
	}},
	{"rejoin", func(ctx context.Context, c *config) (*recovery.Part, error) {
		return recovery.Rejoin(ctx, &c.Options, c.rejoinMB)
	}},
}

func parse(args []string) (*config, error) {
	c := &config{}
	f := flag.NewFlagSet("recovery", flag.ContinueOnError)
	only := ""
	f.StringVar(&c.Dir, "dir", "build/recovery", "where the results go")
	f.StringVar(&c.Executable, "dalio", "", "the dalio command (default: beside this one)")
	f.StringVar(&only, "parts", "", "what to measure, with commas between (default: all of "+strings.Join(partNames(), ",")+")")
	f.IntVar(&c.kills, "kills", 100, "how often a replica is killed")
	f.IntVar(&c.hosts, "hosts", 50, "how often the coordinator's host is lost")
	f.IntVar(&c.controls, "controls", 50, "how often the control plane alone is killed")
	f.IntVar(&c.rejoinMB, "rejoin-mb", 1000, "megabytes that a replica has when it is killed and rejoins")
	f.IntVar(&c.Replicas, "replicas", 3, "replicas, 2 to 16")
	f.IntVar(&c.Clients, "clients", 32, "operations in flight")
	f.IntVar(&c.Rate, "rate", 4000, "operations a second, at most, but for the rejoin")
	f.IntVar(&c.Keys, "keys", 200, "keys that are read and written, but for the rejoin")
	f.Func("coordinator-flag", "a flag for every coordinator, such as --suspect-after=1s; repeat for each", func(flag string) error {
		c.CoordinatorFlags = append(c.CoordinatorFlags, flag)
		return nil
	})
	f.Uint64Var(&c.Seed, "seed", 1, "of the load")
	if err := command.ParseFlags(f, args); err != nil {
		return nil, err
	}
	switch {
	case c.Replicas < 2 || c.Replicas > 16:
		return nil, fmt.Errorf("-replicas %d: want 2 to 16", c.Replicas)
	case min(c.Clients, c.Rate, c.Keys, c.kills, c.hosts, c.controls, c.rejoinMB) < 1:
		return nil, errors.New("all numbers must be at least 1; -parts leaves parts out")
	}
	for _, name := range strings.FieldsFunc(only, func(r rune) bool { return r == ',' }) {
		if !slices.Contains(partNames(), name) {
			return nil, fmt.Errorf("-parts %q: there is no %q; want some of %s", only, name, strings.Join(partNames(), ","))
		}
		c.parts = append(c.parts, name)
	}
	c.Progress = func(line string) { fmt.Println(line) }
	var err error
	c.Executable, err = command.Dalio(c.Executable)
	return c, err
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func main() {
	ctx, c := command.Start("recovery", parse, exitFailed)
	report, err := run(ctx, c)
	if ctx.Err() != nil {
		err = errors.New("interrupted; everything that was set up has been removed")
	}
	if err != nil {
		command.Fail("recovery", err, exitFailed)
	}
	os.Exit(status(os.Stderr, report, c.Dir))
}

// status returns the exit status, that of the worst part, and says why it is not 0.
func status(w io.Writer, report *recovery.Report, dir string) int {
	found := map[int]bool{}
	for _, p := range report.Parts {
		switch {
		case p.Verdict == linear.NotLinearizable:
			fmt.Fprintf(w, "recovery: %s: not linearizable; %s has the history and the logs\n", p.Name, dir)
			found[exitNotLinearizable] = true
		case p.Verdict != linear.Linearizable:
			fmt.Fprintf(w, "recovery: %s: undecided after %v; audit %s again with more time\n", p.Name, auditTimeout, filepath.Join(dir, p.History))
			found[exitUndecided] = true
		case !p.Met():
			fmt.Fprintf(w, "recovery: %s: a target is not met\n", p.Name)
			found[exitNotMet] = true
		}
	}
	for _, code := range []int{exitNotLinearizable, exitUndecided, exitNotMet} {
		if found[code] {
			return code
		}
	}
	return exitMet
}

// run measures all parts, and writes what it found out.
func run(ctx context.Context, c *config) (*recovery.Report, error) {
	if err := command.NeedRoot(); err != nil {
		return nil, err
	}
	if err := command.EmptyDir(c.Dir); err != nil {
		return nil, err
	}
	machine, err := bench.DescribeMachine()
	if err != nil {
		return nil, err
	}
	report := &recovery.Report{Started: time.Now().UTC(), Machine: machine, Met: true}
	for _, one := range parts {
		if len(c.parts) > 0 && !slices.Contains(c.parts, one.name) {
			continue
		}
		fmt.Printf("dalio recovery: %s\n", one.name)
		var p *recovery.Part
		if p, err = one.run(ctx, c); err == nil {
			err = audit(ctx, c, p)
		}
		if err != nil {
			report.Met = false
			break // What was measured before is written all the same.
		}
		report.Parts = append(report.Parts, p)
		report.Met = report.Met && p.Met() && p.Verdict == linear.Linearizable
		p.Print(os.Stdout)
	}
	report.Took = time.Since(report.Started).Seconds()
	return report, errors.Join(err, report.Write(filepath.Join(c.Dir, "report.json")), report.Plot(filepath.Join(c.Dir, "recovery.svg")))
}

// audit has a part's history judged.
func audit(ctx context.Context, c *config, p *recovery.Part) error {
	fmt.Printf("  auditing %d operations\n", p.Total())
	judged, err := linear.CheckFile(ctx, filepath.Join(c.Dir, p.History), linear.Options{Timeout: auditTimeout})
	if err != nil {
		return fmt.Errorf("audit the history of %s: %w", p.Name, err)
	}
	p.Verdict = judged.Verdict
	return nil
}
