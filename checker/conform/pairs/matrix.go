// SPDX-License-Identifier: Apache-2.0

package pairs

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"dalio/bpf"
	"dalio/protocol"
)

// cell is a branch of a handler, as the bytecode's own counters tell it, and a
// condition of the table or of the shard in which it was taken.
type cell struct{ branch, condition string }

// matrix counts pairs by cell.
type matrix map[cell]int

// branchOf names the branch that the bytecode took: what it says that it did, and
// why it dropped the frame.
func branchOf(kind string, h bpf.Handled) string {
	var parts []string
	names := bpf.ActivityNames()
	for set := h.Done; set != 0; set &= set - 1 {
		switch name := names[bits.TrailingZeros64(set)]; name {
		case "multicasts", "clones", "surplus": // What multicasting is made of.
		default:
			parts = append(parts, name)
		}
	}
	slices.Sort(parts)
	if h.Verdict == protocol.Drop {
		parts = append(parts, "drop "+h.Reason.String())
	}
	return kind + ": " + strings.Join(parts, ", ")
}

// The conditions of the entry that a message is about.
const (
	noEntry   = "no such slot"
	free      = "free"
	unwritten = "owned, nothing written"
	recovered = "recovered"
	fresh     = "pending, none acknowledged"
	partly    = "pending, some acknowledged"
	covered   = "pending, covered"
	committed = "committed"
)

var entryConditions = []string{noEntry, free, unwritten, recovered, fresh, partly, covered, committed}

func entryCondition(c *protocol.Coordinator, session protocol.SessionID) string {
	slot := session.Slot()
	if slot >= len(c.Sessions) {
		return noEntry
	}
	e := &c.Sessions[slot]
	switch {
	case e.Pending() && c.Members != 0 && c.Members&^e.Acks == 0:
		return covered
	case e.Pending() && e.Acks == 0:
		return fresh
	case e.Pending():
		return partly
	case e.Seq != 0:
		return committed
	case e.Owner == 0:
		return free
	case e.Request == 0:
		return unwritten
	}
	return recovered
}

// The conditions of the table as a whole, for an open.
const (
	someFree = "a slot is free"
	someIdle = "a slot is idle"
	full     = "all slots are in use"
)

var tableConditions = []string{someFree, someIdle, full}

func tableCondition(c *protocol.Coordinator) string {
	condition := full
	for i := range c.Sessions {
		e := &c.Sessions[i]
		if e.Owner == 0 {
			return someFree
		}
		if !e.Pending() && c.Tick-e.Tick >= ttl {
			condition = someIdle
		}
	}
	return condition
}

// The conditions of the shard.
const (
	closed  = "no epoch"
	nobody  = "no members"
	few     = "too few members"
	silent  = "a member is overdue"
	deaf    = "nobody serves"
	healthy = "all is well"
)

var shardConditions = []string{closed, nobody, few, silent, deaf, healthy}

func shardCondition(c *protocol.Coordinator) string {
	overdue := false
	for set := c.Members; set != 0 && c.Lease != 0; set &= set - 1 {
		overdue = overdue || c.Answered[bits.TrailingZeros16(set)]+c.Lease < c.Now
	}
	switch {
	case c.Epoch == 0:
		return closed
	case c.Members == 0:
		return nobody
	case bits.OnesCount16(c.Members) < c.MinMembers:
		return few
	case overdue:
		return silent
	case c.Serving == 0:
		return deaf
	}
	return healthy
}

// count notes a pair: the branch under the condition of the entry that the message
// is about, or of the table, and under that of the shard.
func (m matrix) count(c *protocol.Coordinator, whole bool, p *protocol.Message, h bpf.Handled) {
	kind := "Frame"
	if whole {
		kind = kindOf(p.Type)
	}
	branch := branchOf(kind, h)
	m[cell{branch, shardCondition(c)}]++
	switch kind {
	case "OpenRequest":
		m[cell{branch, tableCondition(c)}]++
	case "WriteRequest":
		m[cell{branch, entryCondition(c, p.Session)}]++
	case "WriteAck", "ReadReply":
		m[cell{branch, entryCondition(c, p.Writer)}]++
	}
}

// kindOf names a type of message, if the coordinator has a handler for it.
func kindOf(t protocol.MessageType) string {
	switch t {
	case protocol.OpenRequest, protocol.WriteRequest, protocol.WriteAck, protocol.ReadRequest, protocol.ReadReply,
		protocol.Probe, protocol.ProbeReply:
		return t.String()
	}
	return "Other"
}

// conditionsOf lists the conditions under which a branch is to be taken.
func conditionsOf(branch string) []string {
	conditions := shardConditions
	switch kind, _, _ := strings.Cut(branch, ":"); kind {
	case "OpenRequest":
		conditions = slices.Concat(conditions, tableConditions)
	case "WriteRequest", "WriteAck", "ReadReply":
		conditions = slices.Concat(conditions, entryConditions)
	}
	return conditions
}

// judge returns what is wrong with a matrix: a branch that is not in the list, or
// was never taken; a cell that is empty and not excused, or excused and not empty.
func (m matrix) judge() (full, excusedCells int, wrong []string) {
	taken := map[string]bool{}
	for c := range m {
		taken[c.branch] = true
		if !slices.Contains(branches, c.branch) {
			wrong = append(wrong, fmt.Sprintf("the branch %q is not in the list", c.branch))
		}
	}
	for _, branch := range branches {
		if !taken[branch] {
			wrong = append(wrong, fmt.Sprintf("the branch %q was never taken", branch))
			continue
		}
		for _, condition := range conditionsOf(branch) {
			c := cell{branch, condition}
			switch why := excused(c); {
			case m[c] != 0 && why == "":
				full++
			case m[c] == 0 && why != "":
				excusedCells++
			case m[c] == 0:
				wrong = append(wrong, fmt.Sprintf("%q was never taken with %q, and nothing says why", branch, condition))
			default:
				wrong = append(wrong, fmt.Sprintf("%q was taken with %q, which is said not to be: %s", branch, condition, why))
			}
		}
	}
	slices.Sort(wrong)
	return full, excusedCells, slices.Compact(wrong)
}
