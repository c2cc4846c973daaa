// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"dalio/impl/sim"
)

// progress says now and then how far the seeds are.
func progress(seeds uint64) func(uint64) {
	began, last := time.Now(), time.Now()
	return func(done uint64) {
		if now := time.Now(); now.Sub(last) > 10*time.Second {
			last = now
			fmt.Printf("%d of %d seeds, %.0f a minute\n", done, seeds, float64(done)/now.Sub(began).Minutes())
		}
	}
}

// tell prints what was met.
func tell(to io.Writer, s *sim.Summary) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	table := func(title string, counts map[string]int) {
		fmt.Fprintf(w, "%s\t\n", title)
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			fmt.Fprintf(w, "  %s\t%d\n", name, counts[name])
		}
	}
	c := s.Coverage
	table("faults", c.Faults)
	table("dropped by the bytecode", c.Drops)
	table("done by the bytecode", c.Activities)
	table("actions of the specification", c.Actions)
	table("situations of the hazards", c.Situations)
	w.Flush()
}

func rate(s *sim.Summary) float64 { return float64(s.Seeds) / s.Took.Minutes() }

// figures is what the evidence table says.
func figures(s *sim.Summary) string {
	return fmt.Sprintf("%d seeds, %.0f a minute: %d operations (median %d a seed), %d deliveries (%d and more); same seed, same digest; no violation",
		s.Seeds, rate(s), s.Operations, s.MedianOperations, s.Deliveries, s.LeastDeliveries)
}

func lastLine(s *sim.Summary, missed int) string {
	verdict := "no violation"
	if s.Failed != nil {
		verdict = fmt.Sprintf("seed %d FAILED", s.Failed.Seed)
	}
	if missed > 0 {
		verdict += fmt.Sprintf(", %d situations too rare", missed)
	}
	return fmt.Sprintf("sim: %d seeds in %v, %.0f a minute; operations: median %d, least %d; deliveries: least %d; simulated %v; %s",
		s.Seeds, s.Took.Round(time.Second), rate(s), s.MedianOperations, s.LeastOperations, s.LeastDeliveries, s.Simulated.Round(time.Second), verdict)
}
