// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
)

// Cut is what is left out of a plan.
type Cut struct {
	// Faults are the numbers of those that are kept, nil for all.
	Faults []int
	// Clients is how many there are at most, and Operations how many begin before all
	// faults end; 0 for as the plan says.
	Clients, Operations int
}

// Apply returns the plan without what is left out.
func (c Cut) Apply(p Plan) Plan {
	p.Faults = slices.Clone(p.Faults)
	for i := range p.Faults {
		if c.Faults != nil && !slices.Contains(c.Faults, i) {
			p.Faults[i].Kind = ""
		}
	}
	if c.Clients != 0 {
		p.Clients = min(p.Clients, c.Clients)
	}
	if c.Operations != 0 {
		p.Operations, p.Deliveries, p.Length = c.Operations, 0, 0
	}
	return p
}

// Shrink leaves as much out of a failing plan as it can without it passing, in so many
// runs at most. Fails says whether a plan does.
func Shrink(p Plan, most int, fails func(Plan) bool) Cut {
	runs := 0
	try := func(c Cut) bool {
		runs++
		return runs <= most && fails(c.Apply(p))
	}
	var best Cut
	best.Faults = []int{}
	for i := range p.Faults {
		best.Faults = append(best.Faults, i)
	}
	// Few faults first, by halves and then one by one.
	for size := max(1, len(best.Faults)/2); size >= 1; size /= 2 {
		for from := 0; from < len(best.Faults); {
			c := best
			c.Faults = slices.Concat(best.Faults[:from], best.Faults[min(from+size, len(best.Faults)):])
			if try(c) {
				best = c
			} else {
				from += size
			}
		}
	}
	// Then a shorter run, by the operations after which the faults end.
	for low, high := 1, 4*p.Operations; low < high && runs < most; {
		c := best
		c.Operations = (low + high) / 2
		if try(c) {
			best, high = c, c.Operations
		} else {
			low = c.Operations + 1
		}
	}
	for clients := p.Clients - 1; clients > 0; clients-- {
		c := best
		c.Clients = clients
		if try(c) {
			best = c
		}
	}
	return best
}
