// SPDX-License-Identifier: Apache-2.0

package client

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"dalio/protocol"
)

// searchAfter is how many tries go without an answer before a request is sent to
// all coordinators. That is safe: a request takes effect once, whoever gets it.
const searchAfter = 2

// coordinators are those of a shard, of which one is active. Nothing tells which:
// it is the one that answers.
type coordinators struct {
	addresses []netip.AddrPort
	// active is the index of the one that answered last.
	active atomic.Int32
	// epoch is the highest that an answer came from.
	epoch atomic.Uint32
}

// targets returns where to send a request that was sent so many times before.
func (c *coordinators) targets(retries int) []netip.AddrPort {
	if retries >= searchAfter {
		return c.addresses
	}
	i := c.active.Load()
	return c.addresses[i : i+1]
}

// find returns the index of a coordinator's address, or -1.
func (c *coordinators) find(a netip.AddrPort) int { return slices.Index(c.addresses, a) }

// answered takes note of an answer, and says whether to look at it: what a
// coordinator that has been replaced can't do says nothing of the one in its
// place, but what it has done is done.
func (c *coordinators) answered(from int, epoch protocol.Epoch, ok bool) bool {
	for {
		highest := c.epoch.Load()
		if uint32(epoch) < highest {
			return ok
		}
		if uint32(epoch) == highest || c.epoch.CompareAndSwap(highest, uint32(epoch)) {
			c.active.Store(int32(from))
			return true
		}
	}
}
