// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"slices"

	"dalio/protocol"
)

// countedFor returns what the bytecode must have counted for a frame: the model
// counts nothing, but what it did says it all. Before is the model's state when the
// frame came, after that when it was handled.
func countedFor(before, after *protocol.Coordinator, frame []byte, o protocol.Outcome) (c counterSet) {
	if o.Verdict == protocol.Drop {
		c.Drops[o.Reason]++
	}
	if i := slices.Index(actionNames[:], o.Action); i >= 0 {
		c.Actions[i]++
	}
	for _, name := range activitiesOf(before, after, frame, o) {
		c.Activities[slices.Index(activityNames[:], name)]++
	}
	var out protocol.Message
	if o.Verdict == protocol.Transmit && out.Unmarshal(o.Frame[protocol.FrameOverhead:]) == nil && out.Type == protocol.Read {
		c.Reads[out.Replica.Index()]++
	}
	return c
}

func activitiesOf(before, after *protocol.Coordinator, frame []byte, o protocol.Outcome) (all []string) {
	var in, out protocol.Message
	if o.Verdict == protocol.Pass {
		if o.Frame == nil || len(frame) < protocol.FrameOverhead || in.Unmarshal(frame[protocol.FrameOverhead:]) != nil ||
			in.Type != protocol.ProbeReply || !isFor(frame, before.Self) {
			return []string{"passed"}
		}
		return []string{"probe_replies"}
	}
	if in.Unmarshal(frame[protocol.FrameOverhead:]) != nil {
		return nil
	}
	if o.Verdict == protocol.Multicast {
		all = append(all, "multicasts")
	}
	sent := o.Verdict != protocol.Drop
	if sent {
		// A frame of the coordinator's that can't be read is another test's business.
		_ = out.Unmarshal(o.Frame[protocol.FrameOverhead:])
	}
	committed, covered, adopted := changed(before, after)
	if committed {
		all = append(all, "commits")
	}
	if committed && o.Action != "HandleWriteAck" {
		all = append(all, "covered")
	}
	if adopted && o.Action == "HandleWriteRequest" {
		all = append(all, "adopted")
	}
	switch {
	case o.Action == "HandleOpenRequest" && sent:
		all = append(all, ofOpen(out, adopted))
	case o.Action == "HandleWriteRequest" && sent && !covered:
		all = append(all, ofWrite(before, after, out))
	case o.Action == "HandleReadRequest" && sent && out.Type == protocol.Read:
		all = append(all, "forwarded")
	case o.Action == "HandleReadRequest" && sent:
		all = append(all, "read_busy")
	case o.Action == "HandleReadReply" && out.Type == protocol.ReadResponse:
		all = append(all, "released")
	case o.Action == "HandleReadReply" && out.Type == protocol.Write:
		all = append(all, "gated", "redriven")
	case o.Action == "HandleReadReply" && out.Type == protocol.Read && isPendingAt(after, in):
		all = append(all, "gated", "hops")
	case o.Action == "HandleReadReply" && out.Type == protocol.Read:
		all = append(all, "overdue")
	case in.Type == protocol.Probe && sent:
		all = append(all, "probed")
	}
	return all
}

func ofOpen(out protocol.Message, minted bool) string {
	switch {
	case out.Status == protocol.StatusBusy:
		return "open_busy"
	case minted:
		return "opened"
	}
	return "reopened"
}

func ofWrite(before, after *protocol.Coordinator, out protocol.Message) string {
	switch {
	case out.Type == protocol.Write && after.NextSeq != before.NextSeq:
		return "sequenced"
	case out.Type == protocol.Write:
		return "retried"
	}
	return map[protocol.Status]string{protocol.StatusOK: "repeated", protocol.StatusExpired: "expired", protocol.StatusRefused: "refused",
		protocol.StatusBusy: "write_busy", protocol.StatusTooFew: "too_few"}[out.Status]
}

// changed says whether a write was committed, whether that was done without an
// acknowledgement being the last, and whether a slot got another owner.
func changed(before, after *protocol.Coordinator) (committed, covered, owned bool) {
	for slot := range after.Sessions {
		was, is := &before.Sessions[slot], &after.Sessions[slot]
		if was.Pending() && was.Seq == is.Seq && !is.Pending() {
			committed = true
			covered = before.Members != 0 && before.Members&^was.Acks == 0
		}
		owned = owned || was.Owner != is.Owner
	}
	return committed, covered, owned
}

// isPendingAt says whether the version in a reply waits for acknowledgements.
func isPendingAt(c *protocol.Coordinator, m protocol.Message) bool {
	slot := m.Writer.Slot()
	return m.Version.Epoch == c.Epoch && slot < len(c.Sessions) && c.Sessions[slot].Seq == m.Version.Seq && c.Sessions[slot].Pending()
}

// isFor says whether a frame is an IPv4 datagram to the coordinator's port.
func isFor(frame []byte, self protocol.Address) bool {
	m := protocol.Message{Type: protocol.Probe}
	good := protocol.NewFrame(&m, client(0), self)
	return slices.Equal(frame[12:15], good[12:15]) && slices.Equal(frame[30:34], good[30:34]) && slices.Equal(frame[36:38], good[36:38]) &&
		frame[23] == good[23] && frame[20]&0x3F == 0 && frame[21] == 0
}

// difference names what was not counted as it should be; "" if all was.
func (c *counterSet) difference(want counterSet) string {
	name := func(kind string, names []string, got, want []uint64) string {
		for i := range got {
			if got[i] != want[i] {
				label := kind
				if i < len(names) {
					label += " " + names[i]
				}
				return fmt.Sprintf("%s was counted %d times, not %d", label, got[i], want[i])
			}
		}
		return ""
	}
	var reasons []string
	for r := range c.Drops {
		reasons = append(reasons, protocol.Reason(r).String())
	}
	for _, complaint := range []string{
		name("drop", reasons, c.Drops[:], want.Drops[:]),
		name("action", actionNames[:], c.Actions[:], want.Actions[:]),
		name("activity", activityNames[:], c.Activities[:], want.Activities[:]),
		name("reads", nil, c.Reads[:], want.Reads[:]),
	} {
		if complaint != "" {
			return complaint
		}
	}
	return ""
}
