// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Plan is what a seed stands for: a shard, what its clients do, and the faults.
type Plan struct {
	Replicas, Clients int
	Keys, DeleteKeys  int
	// Writes is the share of writes among the operations, Deleted that of operations
	// on keys that are deleted too, Idle that of pauses, and Impatience that of
	// operations that may be given up early.
	Writes, Deleted, Idle, Impatience float64
	// Quiet is the weather between faults.
	Quiet weather
	// Operations and Deliveries are how many there are at least, and Length is for how
	// long faults may begin.
	Operations, Deliveries int
	Length                 time.Duration
	Faults                 []Fault
}

// Fault is something that goes wrong at a time, for some time.
type Fault struct {
	Kind    string
	At, For time.Duration
	// Who and Whom are the hosts it is about, by number; their meaning depends on
	// the kind.
	Who, Whom int
	weather   weather
}

func (f Fault) String() string {
	return fmt.Sprintf("%v %s %d %d for %v", f.At, f.Kind, f.Who, f.Whom, f.For)
}

// MakePlan draws a plan from a seed. Seeds differ in more than in chance: in some the
// network is good and hosts fail, in others the other way round.
func MakePlan(seed uint64) Plan {
	r := stream(seed, planStream)
	p := Plan{
		Replicas: 1 + r.IntN(4), Clients: 3 + r.IntN(4), Keys: 1 + r.IntN(3), DeleteKeys: 1 + r.IntN(2),
		Writes: 0.2 + 0.6*r.Float64(), Deleted: 0.3 * r.Float64(), Idle: 0.2 + 0.6*r.Float64(), Impatience: 0.1 * r.Float64(),
		Operations: 220 + r.IntN(120), Deliveries: 2000, Length: between(r, time.Second, 2*time.Second),
	}
	if r.IntN(4) != 0 {
		p.Quiet = anyWeather(r, 0.02)
	}
	for range 1 + r.IntN(8) {
		p.Faults = append(p.Faults, anyFault(r, &p))
	}
	return p
}

func anyWeather(r *rand.Rand, worst float64) weather {
	return weather{Loss: worst * r.Float64(), Duplicate: worst * r.Float64(), Late: 5 * worst * r.Float64(), Delay: between(r, time.Millisecond, 20*time.Millisecond)}
}

// The kinds of faults, with their weights.
var kinds = []struct {
	name   string
	weight int
}{
	{"storm", 4}, {"cut", 4}, {"pause-replica", 3}, {"pause-client", 1}, {"old-frames", 3},
}

// Kinds lists the kinds of faults.
func Kinds() []string {
	var all []string
	for _, k := range kinds {
		all = append(all, k.name)
	}
	return all
}

func anyFault(r *rand.Rand, p *Plan) Fault {
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	n := r.IntN(sum)
	f := Fault{At: between(r, 0, p.Length), For: between(r, time.Millisecond, 300*time.Millisecond), Who: r.IntN(64), Whom: r.IntN(64), weather: anyWeather(r, 0.3)}
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			f.Kind = k.name
			return f
		}
	}
	return f
}
