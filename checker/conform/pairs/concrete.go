// SPDX-License-Identifier: Apache-2.0

package pairs

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"dalio/protocol"
	"dalio/spec/tla"
)

var types = map[string]protocol.MessageType{
	"none": 0, "odd": 200, "OpenRequest": protocol.OpenRequest, "OpenResponse": protocol.OpenResponse,
	"ReadRequest": protocol.ReadRequest, "ReadResponse": protocol.ReadResponse,
	"WriteRequest": protocol.WriteRequest, "WriteResponse": protocol.WriteResponse,
	"Read": protocol.Read, "ReadReply": protocol.ReadReply, "Write": protocol.Write,
	"WriteAck": protocol.WriteAck, "Probe": protocol.Probe, "ProbeReply": protocol.ProbeReply,
}

var operations = map[string]protocol.Op{"none": protocol.OpNone, "put": protocol.OpPut, "delete": protocol.OpDelete, "odd": 7}

var statuses = map[string]protocol.Status{"none": protocol.StatusNone, "OK": protocol.StatusOK, "BUSY": protocol.StatusBusy,
	"EXPIRED": protocol.StatusExpired, "REFUSED": protocol.StatusRefused, "TOO_FEW": protocol.StatusTooFew}

// lookUp gives what a name of the specification stands for.
func lookUp[T any](in map[string]T, name tla.Value) T {
	v, ok := in[text(name)]
	if !ok {
		panic(fmt.Sprintf("pairs: %v is none of %v", name, slices.Sorted(maps.Keys(in))))
	}
	return v
}

// coordinator makes a state of the handler one of the reference model.
func (n naming) coordinator(s tla.Record, lease uint64) *protocol.Coordinator {
	c := &protocol.Coordinator{
		Self: self, SessionTTL: ttl, Tick: theTick, Now: theNow * unit, Lease: lease, Held: unit * uint64(integer(s.Get("held"))),
		Epoch: n.epoch(s.Get("epoch")), NextSeq: sequence(s.Get("seq")),
		Members: n.set(s.Get("members")), Serving: n.set(s.Get("serving")), MinMembers: integer(s.Get("least")),
		Sessions: make([]protocol.SessionEntry, len(n.slot)),
	}
	for r, i := range n.index {
		if generation := integer(at(s.Get("known"), r)); generation != 0 {
			c.Known[i] = protocol.Member{ID: protocol.ReplicaID(generation<<4 | i), Address: n.member(r)}
		}
		c.Answered[i] = unit * uint64(integer(at(s.Get("heard"), r)))
	}
	for slot, i := range n.slot {
		c.Sessions[i] = n.entry(at(s.Get("entries"), slot).(tla.Record))
	}
	return c
}

func (n naming) entry(e tla.Record) protocol.SessionEntry {
	entry := protocol.SessionEntry{
		Owner: n.session(e.Get("owner")), Nonce: uint64(integer(e.Get("nonce"))), Request: uint64(integer(e.Get("request"))),
		Op: lookUp(operations, e.Get("op")), KeyHash: n.hash(e.Get("hash")), Digest: n.digest(e.Get("digest")),
		Seq: sequence(e.Get("seq")), Acks: n.set(e.Get("acks")), Settled: n.version(e.Get("settled")), Tick: theTick,
	}
	switch {
	case entry.Owner == 0:
		entry.Tick = 0
	case e.Get("idle") == tla.Bool(true):
		entry.Tick -= ttl
	}
	if entry.Seq != 0 && e.Get("done") == tla.Bool(true) {
		entry.Acks = 1<<protocol.MaxMembers - 1
	}
	return entry
}

// message makes a packet, or what comes out, a message.
func (n naming) message(p tla.Record) *protocol.Message {
	return &protocol.Message{
		Type: lookUp(types, p.Get("type")), Op: lookUp(operations, p.Get("op")), Status: lookUp(statuses, p.Get("status")),
		Attempt: uint8(integer(p.Get("attempt"))), Hops: uint8(integer(p.Get("hops"))), Epoch: n.epoch(p.Get("epoch")),
		Replica: n.id(p.Get("replica")), Version: n.version(p.Get("version")), Digest: n.digest(p.Get("digest")),
		Session: n.session(p.Get("session")), Request: uint64(integer(p.Get("request"))), Writer: n.session(p.Get("writer")),
		KeyHash: n.hash(p.Get("hash")), Client: n.address(p.Get("client")), Sent: n.sent(p.Get("sent")),
		Key: n.bytes(p.Get("key")), Value: n.bytes(p.Get("value")),
	}
}

// Where a frame has its destination port, the magic number of its message, and the
// length of the key, which that of the value follows.
const (
	destinationPort = 14 + 20 + 2
	wireMagic       = protocol.FrameOverhead
	keyLength       = protocol.FrameOverhead + 64
)

// frame makes a packet a frame.
func (n naming) frame(p tla.Record) []byte {
	m := n.message(p)
	length := len(m.Key)
	if length > protocol.MaxKeySize {
		// Only by hand can a message be made with such a key.
		m.Key, m.Value = nil, append(m.Key, m.Value...)
	}
	f := protocol.NewFrame(m, n.sender(p.Get("from")), self)
	binary.BigEndian.PutUint16(f[keyLength:], uint16(length))
	binary.BigEndian.PutUint16(f[keyLength+2:], uint16(len(m.Key)+len(m.Value)-length))
	switch form := text(p.Get("form")); form {
	case "whole":
	case "foreign":
		binary.BigEndian.PutUint16(f[destinationPort:], protocol.Port+1)
	case "length":
		f = append(f, 0)
	case "version":
		f[wireMagic] ^= 1
	default:
		panic(fmt.Sprintf("pairs: %q is no form of a packet", form))
	}
	return f
}

// outcome is what becomes of a packet: one of the results that the specification
// allows, or what model or bytecode make of it.
type outcome struct {
	verdict protocol.Verdict
	reason  protocol.Reason
	// frames are those that leave, in the order of their receivers' indices.
	frames [][]byte
	state  *protocol.Coordinator
}

var reasons = func() map[string]protocol.Reason {
	all := map[string]protocol.Reason{}
	for _, r := range protocol.Reasons() {
		all[r.String()] = r
	}
	return all
}()

// outcome makes a result of the handler one that can be compared. c is the state s.
func (n naming) outcome(c *protocol.Coordinator, s, p, result tla.Record) outcome {
	o := outcome{state: c}
	if changes(result) {
		o.state = n.coordinator(changed(s, result.Get("state")), c.Lease)
	}
	out := result.Get("out").(tla.Record)
	if reason := out.Get("drop"); reason != nil {
		o.verdict, o.reason = protocol.Drop, lookUp(reasons, reason)
		return o
	}
	if out.Get("pass") != nil {
		o.verdict = protocol.Pass
		return o
	}
	m := n.message(changed(p, out.Get("message")))
	if client := out.Get("client"); client != nil {
		o.verdict, o.frames = protocol.Transmit, [][]byte{protocol.NewFrame(m, self, n.address(client))}
		return o
	}
	receivers := slices.Clone(out.Get("replicas").(tla.Set))
	slices.SortFunc(receivers, func(a, b tla.Value) int { return n.index[a.(tla.Model)] - n.index[b.(tla.Model)] })
	o.verdict = protocol.Multicast
	if len(receivers) == 1 {
		o.verdict = protocol.Transmit
	}
	for _, r := range receivers {
		r := r.(tla.Model)
		m.Replica = n.id(tla.NewTuple(r, at(s.Get("known"), r)))
		o.frames = append(o.frames, protocol.NewFrame(m, self, n.member(r)))
	}
	return o
}

// changed returns a record with some fields changed.
func changed(r tla.Record, fields tla.Value) tla.Record {
	if len(tla.Pairs(fields)) == 0 {
		return r
	}
	return tla.NewRecord(append(slices.Clone([]tla.Field(fields.(tla.Record))), r...)...).(tla.Record)
}
