// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// Fault is one way to break a shard.
type Fault struct {
	Name string
	// Needs says what must be whole before the fault, so that the shard has a
	// chance to survive it.
	Needs Needs
	// Inject breaks something and returns what mends it, nil if nothing needs
	// to be: what dies is started again by the shard's own means.
	Inject func(ctx context.Context, s Shard, random *rand.Rand) (mend func(context.Context) error, err error)
	// Lasts is for how long at most the fault goes on before it is mended.
	Lasts time.Duration
}

// Needs is what a fault asks of the shard before it.
type Needs struct {
	// InSync is how many replicas must be in sync.
	InSync int
	// Standby: there must be a coordinator that could take over.
	Standby bool
	// Durable: the replicas must have disks.
	Durable bool
}

// plan draws the faults of a run: rounds of all of them, in random order, but for
// those that have to wait until the shard is as whole as they need.
type plan struct {
	faults []Fault
	random *rand.Rand
	// order has the faults to come, those that wait first.
	order []int
	// again are those that come once more in their round, because they failed.
	again map[string]bool
}

func newPlan(faults []Fault, seed uint64) *plan {
	return &plan{faults: faults, random: rand.New(rand.NewPCG(seed, 0)), again: map[string]bool{}}
}

// next returns the first fault whose needs are met and calls passed for those that
// it overtakes, or nil if there is none. No fault gets ahead of
// another by more than two rounds.
func (p *plan) next(met func(Needs) bool, passed func(*Fault)) *Fault {
	if len(p.order) < len(p.faults) {
		p.order = append(p.order, p.random.Perm(len(p.faults))...)
	}
	at := slices.IndexFunc(p.order, func(i int) bool { return met(p.faults[i].Needs) })
	if at < 0 {
		return nil
	}
	for _, i := range p.order[:at] {
		passed(&p.faults[i])
	}
	f := &p.faults[p.order[at]]
	p.order = slices.Delete(p.order, at, at+1)
	return f
}

// skip gives up the first fault that waits, and returns it.
func (p *plan) skip() *Fault {
	f := &p.faults[p.order[0]]
	p.order = p.order[1:]
	return f
}

// struck takes note of how a fault went. One that failed, whose point was not
// reached for example, comes once more.
func (p *plan) struck(f *Fault, failed bool) {
	p.again[f.Name] = failed && !p.again[f.Name]
	if p.again[f.Name] {
		p.order = append(p.order, slices.IndexFunc(p.faults, func(other Fault) bool { return other.Name == f.Name }))
	}
}

// between returns a random duration.
func (p *plan) between(least, most time.Duration) time.Duration {
	return least + time.Duration(p.random.Int64N(int64(most-least)+1))
}
