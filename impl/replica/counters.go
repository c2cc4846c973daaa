// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"sync/atomic"

	"dalio/protocol"
)

// Counters says what a replica has done since it started.
type Counters struct {
	Reads  uint64 `json:"reads"`
	Writes uint64 `json:"writes"`
	// Malformed datagrams were no Dalio messages, Refused ones not for this
	// replica, by reason.
	Malformed uint64            `json:"malformed"`
	Refused   map[string]uint64 `json:"refused"`
	// Unsent answers were turned down by the network stack.
	Unsent uint64 `json:"unsent"`
	// Batches is how often the replica woke up; many messages to one batch mean
	// that it was busy.
	Batches uint64 `json:"batches"`
	// Overflows datagrams were lost because the receive buffer was full.
	Overflows uint64 `json:"overflows"`
}

// counters is Counters while the server runs.
type counters struct {
	reads, writes, malformed, unsent, batches atomic.Uint64

	// overflows is the kernel's count, as of the last time it was asked.
	overflows atomic.Uint64

	refused []atomic.Uint64 // by protocol.Refusal
}

func newCounters() *counters {
	return &counters{refused: make([]atomic.Uint64, len(protocol.Refusals())+1)}
}

func (c *counters) snapshot() Counters {
	s := Counters{Reads: c.reads.Load(), Writes: c.writes.Load(), Malformed: c.malformed.Load(),
		Unsent: c.unsent.Load(), Batches: c.batches.Load(), Overflows: c.overflows.Load(), Refused: make(map[string]uint64)}
	for _, r := range protocol.Refusals() {
		s.Refused[r.String()] = c.refused[r].Load()
	}
	return s
}
