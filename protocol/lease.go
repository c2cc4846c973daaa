// SPDX-License-Identifier: Apache-2.0

package protocol

import "math/bits"

// leaseExpired says whether some member has not answered anything sent within the
// lease, and which has been silent for the longest time. It may have been fenced
// by a coordinator that has taken over, whose writes others do not know; if it has
// not been, its answer to the read renews the lease.
func (c *Coordinator) leaseExpired() (overdue int, expired bool) {
	if c.Lease == 0 || c.Members == 0 {
		return 0, false
	}
	overdue = bits.TrailingZeros16(c.Members)
	for set := c.Members; set != 0; set &= set - 1 {
		if i := bits.TrailingZeros16(set); c.Answered[i] < c.Answered[overdue] {
			overdue = i
		}
	}
	return overdue, c.Answered[overdue]+c.Lease < c.Now
}

// leaseHeldSince says, as leaseExpired does, whether a member is overdue, unless the lease
// has held at some moment after the time that a read was sent to a replica. No later epoch
// was open at that moment, so the value lacks nothing that was committed before the read.
func (c *Coordinator) leaseHeldSince(sent uint64) (overdue int, expired bool) {
	if sent < c.Held {
		return 0, false
	}
	if overdue, expired = c.leaseExpired(); !expired && c.Lease != 0 {
		c.Held = c.Now
	}
	return overdue, expired
}

// answerProbe tells anybody the epoch, with OK if values may be released.
func (c *Coordinator) answerProbe(m Message, from Address) Output {
	if len(m.Key)+len(m.Value) != 0 || !from.valid() {
		return drop(BadRequest)
	}
	m.Type, m.Status, m.Epoch, m.Replica, m.Client = ProbeReply, StatusOK, c.Epoch, 0, Address{}
	if _, expired := c.leaseExpired(); expired {
		m.Status = StatusBusy
	}
	return Output{Message: &m, To: from}
}

// takeProbeReply renews the lease and leaves the message to the control plane,
// which sent the probe.
func (c *Coordinator) takeProbeReply(m Message, from Address) Output {
	if r := c.checkReplica(&m, from); r != NotDropped {
		return drop(r)
	}
	return Output{Pass: true}
}

// stamp is what goes into messages to replicas.
func (c *Coordinator) stamp() uint64 {
	if c.Lease == 0 {
		return 0
	}
	return c.Now
}
