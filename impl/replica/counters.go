// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"maps"
	"sync"
	"sync/atomic"

	"dalio/impl/replica/control"
	"dalio/protocol"
)

// Counters says what a replica has done since it started.
type Counters = control.Counters

// counters is Counters while the server runs.
type counters struct {
	reads, writes, probes, malformed, unsent, batches atomic.Uint64

	// overflows is the kernel's count, as of the last time it was asked.
	overflows atomic.Uint64

	refused []atomic.Uint64 // by protocol.Refusal

	mu               sync.Mutex
	requests, turned map[string]uint64
}

func newCounters() *counters {
	return &counters{refused: make([]atomic.Uint64, len(protocol.Refusals())+1),
		requests: make(map[string]uint64), turned: make(map[string]uint64)}
}

// requested counts a request of the control API.
func (c *counters) requested(path string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.turned[path]++
		return
	}
	c.requests[path]++
}

func (c *counters) snapshot() Counters {
	s := Counters{Reads: c.reads.Load(), Writes: c.writes.Load(), Probes: c.probes.Load(), Malformed: c.malformed.Load(),
		Unsent: c.unsent.Load(), Batches: c.batches.Load(), Overflows: c.overflows.Load(), Refused: make(map[string]uint64)}
	for _, r := range protocol.Refusals() {
		s.Refused[r.String()] = c.refused[r].Load()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Requests, s.Turned = maps.Clone(c.requests), maps.Clone(c.turned)
	return s
}
