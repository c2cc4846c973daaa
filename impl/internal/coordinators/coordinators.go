// SPDX-License-Identifier: Apache-2.0

// Package coordinators has a client find the coordinator of a shard that is active.
package coordinators

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"dalio/protocol"
)

// searchAfter is how many tries go without an answer before a request is sent to
// all coordinators. That is safe: a request takes effect once, whoever gets it.
const searchAfter = 2

// Set has those of a shard, of which one is active. Nothing tells which: it is the
// one that answers. Its methods may be called concurrently.
type Set struct {
	addresses []netip.AddrPort
	// active is the index of the one that answered last.
	active atomic.Int32
	// epoch is the highest that an answer came from.
	epoch atomic.Uint32
}

// New returns a set of one coordinator or more, of which the first is asked first.
func New(addresses []netip.AddrPort) *Set { return &Set{addresses: addresses} }

// Targets returns where to send a request that was sent so many times before.
func (s *Set) Targets(retries int) []netip.AddrPort {
	if retries >= searchAfter {
		return s.addresses
	}
	i := s.active.Load()
	return s.addresses[i : i+1]
}

// Find returns the index of a coordinator's address, or -1.
func (s *Set) Find(a netip.AddrPort) int { return slices.Index(s.addresses, a) }

// Epoch returns the highest that an answer came from, 0 before the first.
func (s *Set) Epoch() protocol.Epoch { return protocol.Epoch(s.epoch.Load()) }

// Answered takes note of an answer, and says whether to look at it: what a
// coordinator that has been replaced can't do says nothing of the one in its
// place, but what it has done is done. From is an index, and ok is of an answer that
// says so.
func (s *Set) Answered(from int, epoch protocol.Epoch, ok bool) bool {
	for {
		highest := s.epoch.Load()
		if uint32(epoch) < highest {
			return ok
		}
		if uint32(epoch) == highest || s.epoch.CompareAndSwap(highest, uint32(epoch)) {
			s.active.Store(int32(from))
			return true
		}
	}
}
