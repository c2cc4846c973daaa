// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
)

// memory bounds what all searches of one audit may hold together.
type memory struct {
	mu       sync.Mutex
	limit    uint64       // live heap in bytes
	searches atomic.Int32 // going on
}

// newMemory allows budget bytes on top of what is live now. A GOMEMLIMIT in
// force lowers the bound: near that limit the collector would take all the
// time, and the search would crawl rather than stop.
func newMemory(budget int64) *memory {
	limit := liveHeap() + uint64(budget)
	if soft := debug.SetMemoryLimit(-1); soft < math.MaxInt64 {
		limit = min(limit, uint64(soft)/4*3)
	}
	return &memory{limit: limit}
}

// exhausted reports whether the searches hold more than they may. What the
// last collection found live may be garbage by now, so a look that would stop
// a search collects first.
func (m *memory) exhausted() bool {
	if liveHeap() <= m.limit {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if liveHeap() <= m.limit {
		return false
	}
	runtime.GC()
	return liveHeap() > m.limit
}

// liveHeap returns what the last collection found in use.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
