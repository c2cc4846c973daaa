// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dalio/impl/cmd/internal/command"
	"dalio/impl/sim"
	"dalio/traces"
)

// shrinkRuns bounds the runs of a shrinking.
const shrinkRuns = 300

// explain shrinks a failing seed, keeps the shortest run that fails, and says how to
// see it again.
func (c *config) explain(failed *sim.Result) error {
	fmt.Printf("seed %d failed: %v\n", failed.Seed, failed.Err)
	p, err := sim.NewPlayer(0, c.object)
	if err != nil {
		return err
	}
	defer p.Close()
	shortest := failed
	cut := sim.Shrink(failed.Plan, shrinkRuns, func(plan sim.Plan) bool {
		r := p.Play(failed.Seed, plan)
		if r.Err == nil {
			return false
		}
		shortest = r
		return true
	})
	if err := c.keep(shortest); err != nil {
		return err
	}
	fmt.Printf("shrunk from %d operations and %d faults to %d and %d: %v\n", failed.Operations, faults(failed.Plan), shortest.Operations, faults(shortest.Plan), shortest.Err)
	fmt.Printf("its history and event log are in %s; again: %s\n", c.dir, c.command(failed.Seed, &cut))
	return nil
}

func faults(p sim.Plan) (n int) {
	for _, f := range p.Faults {
		if f.Kind != "" {
			n++
		}
	}
	return n
}

// command is what replays a seed.
func (c *config) command(seed uint64, cut *sim.Cut) string {
	s := fmt.Sprintf("build/bin/sim --seed %d", seed)
	if cut.Faults != nil {
		kept := strings.Trim(strings.ReplaceAll(fmt.Sprint(cut.Faults), " ", ","), "[]")
		if kept == "" {
			kept = "none"
		}
		s += " --faults " + kept
	}
	if cut.Clients != 0 {
		s += fmt.Sprint(" --clients ", cut.Clients)
	}
	if cut.Operations != 0 {
		s += fmt.Sprint(" --operations ", cut.Operations)
	}
	if c.object != "" {
		s += " --object " + c.object
	}
	return s
}

// keep writes history and event log.
func (c *config) keep(r *sim.Result) error {
	var history []byte
	for _, e := range r.History {
		var err error
		if history, err = traces.AppendLine(history, e); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(c.dir, "history.jsonl"), history, 0o644); err != nil {
		return fmt.Errorf("keep the history: %w", err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "events.log"), r.Log, 0o644); err != nil {
		return fmt.Errorf("keep the event log: %w", err)
	}
	return nil
}

// replay runs one seed, and returns the exit status.
func (c *config) replay() int {
	p, err := sim.NewPlayer(0, c.object)
	if err != nil {
		command.Fail("sim", err, exitNotRun)
	}
	defer p.Close()
	r := p.Play(c.first, c.cut.Apply(sim.MakePlan(c.first)))
	if err := c.keep(r); err != nil {
		command.Fail("sim", err, exitNotRun)
	}
	fmt.Printf("seed %d: %d operations, %d deliveries, %d faults, %v, digest %x; history and event log are in %s\n",
		r.Seed, r.Operations, r.Deliveries, faults(r.Plan), r.Lasted, r.Digest[:8], c.dir)
	if r.Err != nil {
		fmt.Println("failed:", r.Err)
		return exitFailed
	}
	return exitWell
}
