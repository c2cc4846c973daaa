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
	// Durable: the replicas have disks.
	Durable          bool
	Keys, DeleteKeys int
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
	// After: it begins when this point is passed for the first time after At.
	After string
	// Who and Whom are the hosts it is about, by number; their meaning depends on
	// the kind.
	Who, Whom int
	weather   weather
}

func (f *Fault) String() string {
	when := f.At.String()
	if f.After != "" {
		when += " " + f.After
	}
	return fmt.Sprintf("%s (%d, %d) after %s for %v", f.Kind, f.Who, f.Whom, when, f.For)
}

// MakePlan draws a plan from a seed. Seeds differ in more than in chance: in some the
// network is good and hosts fail, in others the other way round.
func MakePlan(seed uint64) Plan {
	r := stream(seed, planStream)
	p := Plan{
		Replicas: 3, Clients: 3 + r.IntN(4), Durable: r.IntN(3) == 0, Keys: 1 + r.IntN(3), DeleteKeys: 1 + r.IntN(2),
		Writes: 0.2 + 0.6*r.Float64(), Deleted: 0.1 + 0.3*r.Float64(), Idle: 0.4 + 0.4*r.Float64(), Impatience: 0.1 * r.Float64(),
		Operations: 220 + r.IntN(80), Deliveries: 2000, Length: between(r, time.Second, 3*time.Second),
	}
	if r.IntN(4) == 0 {
		p.Replicas = 2 + r.IntN(3)
	}
	if r.IntN(4) != 0 {
		p.Quiet = anyWeather(r, 0.02)
	}
	if r.IntN(4) == 0 { // Many sessions for few slots.
		p.Impatience = 0.6 * r.Float64()
	}
	count := 1 + r.IntN(8)
	for i := range count {
		f := anyFault(r, &p)
		if i == 0 {
			f.After = ""
		}
		if i > 0 && r.IntN(4) == 0 { // Two at once.
			f.At, f.After = p.Faults[i-1].At, p.Faults[i-1].After
		}
		p.Faults = append(p.Faults, f)
	}
	if r.IntN(4) == 0 { // What is late comes when it matters.
		p.Faults = append(p.Faults, Fault{Kind: "old-frames", At: between(r, 0, p.Length/2), After: "epoch-opened", Who: 31})
	}
	return p
}

func anyWeather(r *rand.Rand, worst float64) weather {
	return weather{Loss: worst * r.Float64(), Duplicate: worst * r.Float64(), Late: 5 * worst * r.Float64(), Delay: between(r, time.Millisecond, 20*time.Millisecond)}
}

// kind is a kind of fault.
type kind struct {
	name    string
	weight  int
	durable bool
	// least and most are how long it takes.
	least, most time.Duration
}

// The kinds of faults.
var kinds = []kind{
	{"storm", 6, false, 5 * time.Millisecond, 400 * time.Millisecond},
	{"cut", 8, false, 5 * time.Millisecond, 800 * time.Millisecond},
	{"old-frames", 5, false, 0, 0},
	{"pause-replica", 3, false, time.Millisecond, 600 * time.Millisecond},
	{"pause-client", 1, false, time.Millisecond, 400 * time.Millisecond},
	{"pause-control", 2, false, 10 * time.Millisecond, 800 * time.Millisecond},
	{"pause-host", 3, false, 10 * time.Millisecond, 800 * time.Millisecond},
	{"kill-client", 2, false, 0, 0},
	{"kill-replica", 8, false, 5 * time.Millisecond, 600 * time.Millisecond},
	{"kill-control", 5, false, 5 * time.Millisecond, 600 * time.Millisecond},
	{"lose-host", 8, false, 50 * time.Millisecond, 1500 * time.Millisecond},
	{"clock-jump", 1, false, 0, 0},
	{"etcd-stops", 2, false, 10 * time.Millisecond, 800 * time.Millisecond},
	{"drain", 2, false, 10 * time.Millisecond, 800 * time.Millisecond},
	{"failover", 3, false, 0, 0},
	{"power-replica", 5, true, 10 * time.Millisecond, 500 * time.Millisecond},
	{"power-all", 4, true, 10 * time.Millisecond, 300 * time.Millisecond},
	{"power-in-sync", 4, true, 10 * time.Millisecond, 300 * time.Millisecond},
	{"disk-full", 2, true, 10 * time.Millisecond, 500 * time.Millisecond},
	{"disk-fails", 2, true, 10 * time.Millisecond, 500 * time.Millisecond},
	{"disk-lost", 2, true, 10 * time.Millisecond, 500 * time.Millisecond},
}

// Kinds lists the kinds of faults.
func Kinds() []string {
	var all []string
	for _, k := range kinds {
		all = append(all, k.name)
	}
	return all
}

// points are what a fault may come just after.
var points = []string{"sequenced", "gated", "retried", "configuration", "done /v1/assign", "done /v1/catch-up", "done /v1/range", "done /v1/digest",
	"done /v1/fence", "done /v1/recent", "done /v1/install", "done /v1/open", "done /v1/settle", "epoch-opened"}

func anyFault(r *rand.Rand, p *Plan) Fault {
	sum := 0
	for _, k := range kinds {
		if p.Durable || !k.durable {
			sum += k.weight
		}
	}
	n := r.IntN(sum)
	f := Fault{At: between(r, 0, p.Length), Who: r.IntN(64), Whom: r.IntN(64), weather: anyWeather(r, 0.3)}
	if r.IntN(3) == 0 {
		f.After = points[r.IntN(len(points))]
	}
	for _, k := range kinds {
		if k.durable && !p.Durable {
			continue
		}
		if n -= k.weight; n < 0 {
			f.Kind, f.For = k.name, between(r, k.least, k.most)
			return f
		}
	}
	return f
}
