// SPDX-License-Identifier: Apache-2.0

package fabric

import "time"

// fate is what the program must do to a frame.
type fate struct {
	drop, duplicate bool
	hold            time.Duration
}

// oracle says what happens to each frame of one direction, in plain Go.
type oracle struct {
	faults Faults
	start  uint64
	number uint64
}

func newOracle(seed uint64, node *Node, direction Direction, faults Faults) *oracle {
	return &oracle{faults: faults, start: startOf(seed, node.direction(direction))}
}

func (o *oracle) next() fate {
	const golden = 0x9e3779b97f4a7c15
	chance := func(random uint64, rate float64) bool {
		return float64(uint32(random))/(1<<32) < rate
	}
	first := mix(o.start + o.number*golden)
	second := mix(first + golden)
	third := mix(second + golden)
	o.number++
	within := func(low, high time.Duration) time.Duration {
		return low + time.Duration(uint64(uint32(third))*uint64(high-low)>>32)
	}
	f := fate{drop: chance(first, o.faults.Loss)}
	if f.drop {
		return f
	}
	f.duplicate = chance(first>>32, o.faults.Duplicate)
	if chance(second, o.faults.Delay) {
		f.hold = within(o.faults.DelayMin, o.faults.DelayMax)
	} else if chance(second>>32, o.faults.Reorder) {
		f.hold = within(reorderMin, reorderMax)
	}
	return f
}

func (f fate) copies() int {
	switch {
	case f.drop:
		return 0
	case f.duplicate:
		return 2
	}
	return 1
}

func (c *Counters) note(f fate) {
	c.Seen++
	if f.drop {
		c.Dropped++
	}
	if f.duplicate {
		c.Duplicated++
	}
	if f.hold > 0 {
		c.Delayed++
	}
}
