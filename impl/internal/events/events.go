// SPDX-License-Identifier: Apache-2.0

// Package events turns what the parts of a shard do into lines of an event trace.
package events

import (
	"fmt"
	"net/netip"

	"dalio/bpf"
	"dalio/protocol"
	"dalio/traces/event"
)

// Value stands for what a write writes or a read returns: "" for an absent key.
func Value(op protocol.Op, digest uint32) string {
	if op != protocol.OpPut {
		return ""
	}
	return fmt.Sprintf("%08x", digest)
}

// Client names an address that an answer goes to; "" is nobody.
func Client(a protocol.Address) string {
	if a.Port == 0 {
		return ""
	}
	return netip.AddrPortFrom(netip.AddrFrom4(a.IP), a.Port).String()
}

func version(v protocol.Version) event.Version {
	return event.Version{Epoch: uint32(v.Epoch), Seq: v.Seq}
}

// OfReplica tells of a message that a replica has handled and answered. Applied says
// whether a write was newer than what was held.
func OfReplica(m, answer *protocol.Message, applied bool) *event.Event {
	e := &event.Event{Event: "Handle" + m.Type.String(), Epoch: uint32(m.Epoch), Replica: uint32(m.Replica), Client: Client(m.Client),
		Request: m.Request, Key: event.Hash(m.KeyHash), Sends: answer.Type.String()}
	if m.Type == protocol.Write {
		e.Session, e.Version, e.Value, e.Applied = event.Session(m.Writer), version(m.Version), Value(m.Op, m.Digest), applied
		return e
	}
	e.Hops = m.Hops
	e.Version, e.Writer, e.Value = version(answer.Version), event.Session(answer.Writer), Value(answer.Op, answer.Digest)
	return e
}

// NameOf is the teller that a processor is, for a data plane.
func NameOf(name string, processor uint32) string { return fmt.Sprintf("%s.%d", name, processor) }

// OfCoordinator tells of a message that a data plane has handled. The name is that of
// the data plane.
func OfCoordinator(name string, k *bpf.Event) *event.Event {
	in, out := &k.In, &k.Out
	e := &event.Event{By: NameOf(name, k.Processor), N: k.Number, Time: int64(k.Time), Event: k.Action,
		Epoch: uint32(k.Epoch), Members: k.Members, Serving: k.Serving}
	switch in.Type {
	case protocol.OpenRequest:
		e.Client, e.Nonce = Client(k.From), in.Request
		e.Session = event.Session(out.Session)
	case protocol.ReadRequest:
		e.Client, e.Request, e.Key = Client(k.From), in.Request, event.Hash(in.KeyHash)
	case protocol.WriteRequest:
		e.Client, e.Request, e.Key = Client(k.From), in.Request, event.Hash(in.KeyHash)
		e.Session, e.Value = event.Session(in.Session), Value(in.Op, in.Digest)
		e.Version = version(out.Version)
	case protocol.WriteAck:
		e.Client, e.Request, e.Replica = Client(in.Client), in.Request, uint32(in.Replica)
		e.Session, e.Version = event.Session(in.Writer), version(in.Version)
	case protocol.ReadReply:
		e.Client, e.Request, e.Replica, e.Key = Client(in.Client), in.Request, uint32(in.Replica), event.Hash(in.KeyHash)
		e.Hops, e.Version, e.Writer, e.Value = in.Hops, version(in.Version), event.Session(in.Writer), Value(in.Op, in.Digest)
		e.Sent = int64(in.Sent)
	}
	if k.Reason != protocol.NotDropped {
		e.Drop = k.Reason.String()
	} else {
		e.Sends = out.Type.String()
		switch out.Type {
		case protocol.OpenResponse, protocol.ReadResponse, protocol.WriteResponse:
			e.Status = out.Status.String()
		case protocol.Read:
			e.To = uint32(out.Replica)
		case protocol.Write:
			e.Targets = k.Targets
		}
	}
	if k.Word || k.Owner != 0 {
		e.Slot = &event.Slot{Seq: k.Seq, Acks: k.Acks, Changed: k.Changed, Owner: event.Session(k.Owner), Taken: k.Taken}
	}
	return e
}
