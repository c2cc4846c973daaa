// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"dalio/impl/load"
	"dalio/traces"
)

// Meter counts what the clients of a run have in flight, and in which seconds
// they were served.
type Meter struct {
	start    time.Time
	inFlight atomic.Int64

	mu      sync.Mutex
	seconds []second
}

// second is one second of a run.
type second struct {
	// reads and writes count operations that ended OK.
	reads, writes int
	// unserved counts operations that ended otherwise.
	unserved int
}

// NewMeter returns a meter whose first second starts now.
func NewMeter() *Meter { return &Meter{start: time.Now()} }

// InFlight returns how many operations are open.
func (m *Meter) InFlight() int { return int(m.inFlight.Load()) }

// Watch returns the client, counted.
func (m *Meter) Watch(c load.Client) load.Client { return watched{c, m} }

type watched struct {
	load.Client
	meter *Meter
}

func (w watched) Do(ctx context.Context, f, key, value string) load.Answer {
	w.meter.inFlight.Add(1)
	a := w.Client.Do(ctx, f, key, value)
	w.meter.inFlight.Add(-1)
	w.meter.add(f, a.Outcome, time.Since(w.meter.start))
	return a
}

func (m *Meter) add(f, outcome string, at time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := int(at / time.Second)
	for len(m.seconds) <= n {
		m.seconds = append(m.seconds, second{})
	}
	s := &m.seconds[n]
	switch {
	case outcome != traces.OK:
		s.unserved++
	case f == traces.Read:
		s.reads++
	default:
		s.writes++
	}
}

// Progress says in how many of the whole seconds so far at least one read and at
// least one write ended OK.
func (m *Meter) Progress() (served, seconds int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seconds = int(time.Since(m.start) / time.Second)
	for i := range min(seconds, len(m.seconds)) {
		if m.seconds[i].reads > 0 && m.seconds[i].writes > 0 {
			served++
		}
	}
	return served, seconds
}

// Longest returns the longest run of whole seconds without progress.
func (m *Meter) Longest() (longest int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	idle := 0
	for i := range int(time.Since(m.start) / time.Second) {
		if i < len(m.seconds) && m.seconds[i].reads > 0 && m.seconds[i].writes > 0 {
			idle = 0
			continue
		}
		idle++
		longest = max(longest, idle)
	}
	return longest
}
