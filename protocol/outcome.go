// SPDX-License-Identifier: Apache-2.0

package protocol

import "errors"

// Reason says why the coordinator consumed a frame without sending one. Each
// has a counter in the data plane, under the name that String returns.
type Reason uint8

// The reasons.
const (
	// NotDropped: the frame was passed on, forwarded, answered or multicast.
	NotDropped Reason = iota
	// BadLength: lengths in the frame disagree with each other or with its size.
	BadLength
	// BadVersion: not Dalio's magic and wire version.
	BadVersion
	// BadType: not a message for a coordinator.
	BadType
	// BadRequest: a request that no correct client sends.
	BadRequest
	// StaleEpoch: a replica's message from before the current epoch.
	StaleEpoch
	// FutureEpoch: a replica's message from an epoch not known here.
	FutureEpoch
	// UnknownReplica: the sender is not, or no longer, a known replica.
	UnknownReplica
	// BadReply: a reply or acknowledgement that no correct replica sends.
	BadReply
	// NotServing: a read reply from a replica that may not serve reads.
	NotServing
	// BadSession: a version whose writer has no slot in the table.
	BadSession
	// StaleRequest: a duplicate of a request before the session's last.
	StaleRequest
	// StaleAck: an acknowledgement of a write that its slot no longer holds.
	StaleAck
	// LateAck: an acknowledgement of a write already committed.
	LateAck
	// Acknowledged: an acknowledgement taken in, others are awaited.
	Acknowledged
	// Unclaimed: a write committed that nobody waits for.
	Unclaimed
	// UnknownVersion: a read reply with a version newer than its slot's last.
	UnknownVersion
	// Gated: a read reply whose write was settled on another processor before it
	// could be re-driven; the reader retries. The model never gives it.
	Gated
	// Closed: no epoch is open, so nothing is handled.
	Closed
	// LeaseExpired: a read reply while some member has not been heard for so long
	// that this coordinator may have been replaced; the reader retries.
	LeaseExpired
	// Contended: other processors kept changing the entry; the sender retries.
	// The model never gives it.
	Contended
	// Internal: a kernel helper failed.
	Internal

	reasonCount
)

var reasonNames = [reasonCount]string{"none", "bad_length", "bad_version", "bad_type", "bad_request", "stale_epoch",
	"future_epoch", "unknown_replica", "bad_reply", "not_serving", "bad_session", "stale_request", "stale_ack",
	"late_ack", "acknowledged", "unclaimed", "unknown_version", "gated", "closed", "lease_expired", "contended", "internal"}

func (r Reason) String() string { return nameOf(reasonNames[:], int(r)) }

// Reasons returns every reason to drop a frame.
func Reasons() []Reason {
	var all []Reason
	for r := BadLength; r < reasonCount; r++ {
		all = append(all, r)
	}
	return all
}

// Verdict is what becomes of a frame.
type Verdict uint8

// The verdicts.
const (
	// Pass: not Dalio's, or the control plane's; left to the host, untouched.
	Pass Verdict = iota
	// Drop: consumed, with a Reason.
	Drop
	// Transmit: sent back out of the device, rewritten.
	Transmit
	// Multicast: one clone to each replica of a set of at least two.
	Multicast
)

func (v Verdict) String() string {
	return nameOf([]string{"pass", "drop", "transmit", "multicast"}, int(v))
}

// Outcome is what the coordinator does with one frame.
type Outcome struct {
	Verdict Verdict
	// Reason is set if Verdict is Drop.
	Reason Reason
	// Action names the handler that took the message, "" if none did.
	Action string
	// Frame is what is transmitted or, before it is cloned, multicast.
	Frame []byte
	// Targets is the set of replicas that a multicast goes to, and Clones the
	// frames they get, in the order of their indices.
	Targets uint16
	Clones  [][]byte
}

// HandleFrame takes one frame as it arrives at the coordinator's device.
func (c *Coordinator) HandleFrame(in []byte) Outcome {
	f := frame(in)
	if !f.isFor(c.Self) {
		return Outcome{Verdict: Pass, Frame: in}
	}
	if !f.lengthsFit() {
		return Outcome{Verdict: Drop, Reason: BadLength}
	}
	action, out := c.Handle(f.payload(), f.source())
	o := Outcome{Verdict: Drop, Reason: out.Reason, Action: action}
	switch {
	case out.Pass:
		o.Verdict, o.Frame = Pass, in
	case out.Message == nil:
	case out.Targets != 0 && out.Targets&(out.Targets-1) == 0:
		o.Verdict, o.Frame = Transmit, c.clones(f, *out.Message, out.Targets)[0]
	case out.Targets != 0:
		o.Verdict, o.Targets = Multicast, out.Targets
		o.Frame = out.Message.Append(append([]byte(nil), f[:FrameOverhead]...))
		o.Clones = c.clones(f, *out.Message, out.Targets)
	default:
		o.Verdict, o.Frame = Transmit, f.reframe(out.Message, c.Self, out.To)
	}
	return o
}

// Handle takes one message, the payload of a UDP datagram from an address, and names the
// handler that took it, "" if none did. The output's message refers to the payload.
func (c *Coordinator) Handle(payload []byte, from Address) (action string, out Output) {
	var m Message
	if err := m.Unmarshal(payload); errors.Is(err, ErrBadLength) {
		return "", drop(BadLength)
	} else if err != nil {
		return "", drop(BadVersion)
	}
	if c.Epoch == 0 {
		return "", drop(Closed)
	}
	action, handle := c.route(m.Type)
	if handle == nil {
		return "", drop(BadType)
	}
	return action, handle(m, from)
}

func (c *Coordinator) route(t MessageType) (string, func(Message, Address) Output) {
	switch t {
	case OpenRequest:
		return "HandleOpenRequest", c.HandleOpenRequest
	case WriteRequest:
		return "HandleWriteRequest", c.HandleWriteRequest
	case WriteAck:
		return "HandleWriteAck", c.HandleWriteAck
	case ReadRequest:
		return "HandleReadRequest", c.HandleReadRequest
	case ReadReply:
		return "HandleReadReply", c.HandleReadReply
	case Probe:
		// Probes are no part of the specification, so they are no actions.
		return "", c.answerProbe
	case ProbeReply:
		return "", c.takeProbeReply
	}
	return "", nil
}

func (c *Coordinator) clones(f frame, m Message, targets uint16) [][]byte {
	var clones [][]byte
	for i, member := range c.Known {
		if targets>>i&1 != 0 {
			m.Replica = member.ID
			clones = append(clones, f.reframe(&m, c.Self, member.Address))
		}
	}
	return clones
}
