// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// How long the pieces of a run may take.
const (
	// If the shard has nothing that any fault needs for so long, one is left out.
	needsTimeout = 10 * time.Second
	pollInterval = 10 * time.Millisecond
	// Between one fault's end and the next there is a pause of random length, so
	// that faults meet the shard at all stages of its recovery.
	pauseMin, pauseMax = 10 * time.Millisecond, 60 * time.Millisecond
	// A fault waits so long for operations to be open.
	flightTimeout, flightPoll = 200 * time.Millisecond, 200 * time.Microsecond
	injectTimeout             = 15 * time.Second
)

// Event is a fault that happened, for the log of a run.
type Event struct {
	Fault string `json:"fault"`
	// Begun and Mended are seconds since the start of the run.
	Begun  float64 `json:"begun_seconds"`
	Mended float64 `json:"mended_seconds"`
	// InFlight is how many operations were open as the fault began.
	InFlight int `json:"in_flight"`
	// Error is why it could not be injected or mended.
	Error string `json:"error,omitempty"`
}

// Nemesis injects faults into a shard.
type Nemesis struct {
	Shard  Shard
	Meter  *Meter
	Faults []Fault
	Seed   uint64
	// Log gets every fault, when it is over.
	Log func(Event)

	start  time.Time
	count  atomic.Int64
	events []Event
	passed map[string]int
}

// Run injects faults until the context ends. Everything is mended when it
// returns; the error says what could not be.
func (n *Nemesis) Run(ctx context.Context) error {
	n.start, n.passed = time.Now(), map[string]int{}
	p := newPlan(n.Faults, n.Seed)
	for ctx.Err() == nil {
		f := n.draw(ctx, p)
		if f == nil {
			break
		}
		if err := n.strike(ctx, f, p.random, p.between(0, f.Lasts)); err != nil {
			return err
		}
		p.struck(f, n.events[len(n.events)-1].Error != "")
		sleep(ctx, p.between(pauseMin, pauseMax))
	}
	return nil
}

// Count returns how many faults there have been so far.
func (n *Nemesis) Count() int { return int(n.count.Load()) }

// Events returns what happened, and Passed how often each fault was overtaken
// because the shard was not as whole as it needs.
func (n *Nemesis) Events() []Event        { return n.events }
func (n *Nemesis) Passed() map[string]int { return n.passed }

// draw polls until the shard has what some fault needs; nil is the end of the run.
func (n *Nemesis) draw(ctx context.Context, p *plan) *Fault {
	for begun := time.Now(); ctx.Err() == nil; {
		f := p.next(n.Shard.Health(ctx).meets, func(f *Fault) { n.passed[f.Name]++ })
		if f != nil {
			return f
		}
		if time.Since(begun) > needsTimeout {
			n.passed[p.skip().Name]++
			begun = time.Now()
		}
		sleep(ctx, pollInterval)
	}
	return nil
}

// awaitFlight waits for a moment at which operations are open, if one comes soon.
func (n *Nemesis) awaitFlight(ctx context.Context) {
	for begun := time.Now(); n.Meter.InFlight() == 0 && time.Since(begun) < flightTimeout && ctx.Err() == nil; {
		sleep(ctx, flightPoll)
	}
}

// strike injects a fault, lets it last and mends it, also when the run ends
// meanwhile. Its error means that the shard could not be mended.
func (n *Nemesis) strike(ctx context.Context, f *Fault, random *rand.Rand, lasts time.Duration) error {
	n.awaitFlight(ctx)
	e := Event{Fault: f.Name, Begun: time.Since(n.start).Seconds(), InFlight: n.Meter.InFlight()}
	injecting, cancel := context.WithTimeout(context.WithoutCancel(ctx), injectTimeout)
	defer cancel()
	mend, err := f.Inject(injecting, n.Shard, random)
	sleep(ctx, lasts)
	var broken error
	if mend != nil {
		mending, cancel := context.WithTimeout(context.WithoutCancel(ctx), injectTimeout)
		defer cancel()
		if broken = mend(mending); broken != nil {
			broken = fmt.Errorf("mend %s: %w", f.Name, broken)
		}
	}
	if err := errors.Join(err, broken); err != nil {
		e.Error = err.Error()
	}
	e.Mended = time.Since(n.start).Seconds()
	n.events = append(n.events, e)
	n.count.Add(1)
	if n.Log != nil {
		n.Log(e)
	}
	return broken
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
