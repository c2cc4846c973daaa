// SPDX-License-Identifier: Apache-2.0

// Command sim runs a whole shard in simulations, each from a seed: clients, replicas
// and the real bytecode on one schedule, with faults; what clients saw is audited. It
// counts what was met. A seed that fails is shrunk, and its history and event log are
// kept.
//
// Exit status: 0 all is well, 1 a seed failed, 2 it could not be run, 4 something
// that must be met was not.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"dalio/checker/evidence"
	"dalio/impl/cmd/internal/command"
	"dalio/impl/sim"
)

const (
	exitWell = iota
	exitFailed
	exitNotRun
	_
	exitNotMet
)

type config struct {
	dir, object, evidence string
	seeds, first          uint64
	workers               int
	// one: the seed to replay, with what is left out.
	one    bool
	cut    sim.Cut
	expect bool
}

func parse(args []string) (config, error) {
	var c config
	f := flag.NewFlagSet("sim", flag.ContinueOnError)
	f.StringVar(&c.dir, "dir", "build/sim", "where history and event log of a failing seed go")
	f.StringVar(&c.object, "object", "", "a data plane in place of the one that is shipped")
	f.StringVar(&c.evidence, "evidence", "", "a README into whose evidence table the figures are written")
	f.Uint64Var(&c.seeds, "seeds", 1000, "how many seeds are run")
	f.Uint64Var(&c.first, "first", 0, "the first seed")
	f.IntVar(&c.workers, "workers", runtime.NumCPU(), "how many run at a time")
	f.BoolVar(&c.expect, "must-fail", false, "a seed must fail: for a data plane without one of its cures")
	f.Func("seed", "replay this seed alone, and keep its history and event log", func(s string) (err error) {
		c.one = true
		c.first, err = strconv.ParseUint(s, 10, 64)
		return err
	})
	f.Func("faults", "of a replayed seed: the numbers of the faults that are kept, with commas between, or none", func(s string) error {
		c.cut.Faults = []int{}
		if s == "none" {
			return nil
		}
		for _, part := range strings.Split(s, ",") {
			n, err := strconv.Atoi(part)
			if err != nil {
				return err
			}
			c.cut.Faults = append(c.cut.Faults, n)
		}
		return nil
	})
	f.IntVar(&c.cut.Clients, "clients", 0, "of a replayed seed: how many clients there are at most; 0: as planned")
	f.IntVar(&c.cut.Operations, "operations", 0, "of a replayed seed: how many operations begin before all faults end; 0: as planned")
	if err := command.ParseFlags(f, args); err != nil {
		return c, err
	}
	switch {
	case c.seeds == 0 || c.workers < 1:
		return c, errors.New("-seeds and -workers must be at least 1")
	}
	return c, command.NeedRoot()
}

func main() {
	// What a run leaves behind is small, and collecting it would take a fifth of the time.
	debug.SetGCPercent(400)
	ctx, c := command.Start("sim", parse, exitNotRun)
	if err := command.EmptyDir(c.dir); err != nil {
		command.Fail("sim", err, exitNotRun)
	}
	if c.one {
		os.Exit(c.replay())
	}
	s, err := c.fleet().Run(ctx)
	if err != nil {
		command.Fail("sim", err, exitNotRun)
	}
	os.Exit(c.conclude(s))
}

// conclude reports, and returns the exit status.
func (c *config) conclude(s *sim.Summary) int {
	tell(os.Stdout, s)
	status := exitWell
	if s.Failed != nil {
		status = exitFailed
		if err := c.explain(s.Failed); err != nil {
			command.Fail("sim", err, exitNotRun)
		}
	}
	if c.expect {
		return c.expected(s)
	}
	missed := s.Missed()
	for _, m := range missed {
		fmt.Printf("sim: %s\n", m)
	}
	if len(missed) > 0 && status == exitWell {
		status = exitNotMet
	}
	if status == exitWell && c.evidence != "" {
		if err := evidence.Write(c.evidence, "sim", figures(s)); err != nil {
			command.Fail("sim", err, exitNotRun)
		}
	}
	fmt.Println(lastLine(s, len(missed)))
	return status
}

// expected says whether a seed failed, as one must.
func (c *config) expected(s *sim.Summary) int {
	if s.Failed == nil {
		fmt.Printf("sim: no seed of %d failed, and one must\n", s.Seeds)
		return exitNotMet
	}
	fmt.Printf("sim: found, as it must be, with %d seeds\n", s.Failed.Seed-c.first+1)
	return exitWell
}

func (c *config) fleet() *sim.Fleet {
	return &sim.Fleet{First: c.first, Seeds: c.seeds, Workers: c.workers, Object: c.object, Notify: progress(c.seeds)}
}
