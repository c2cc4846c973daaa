// SPDX-License-Identifier: Apache-2.0

package dalio

import (
	"slices"

	"dalio/checker/conform/edges"
	"dalio/protocol"
	"dalio/spec/tla"
)

const (
	none   = tla.Model("None")
	absent = tla.Model("Absent")
	// nonceShift leaves room in a nonce for the slot to begin with.
	nonceShift = 8
	self       = 1 // the last part of the coordinator's address
)

// choice is what the specification leaves open.
type choice struct {
	slot    int  // where an open begins to look
	idle    bool // entries without a pending write may be reclaimed
	attempt uint8
	order   []tla.Model // the replicas, by index
}

// names says what each name of the specification is in the Go model, and back. A
// name without a counterpart is an error, and ends a step by edges.Fail.
type names struct {
	*constants
	choice
}

// indexOf returns where x is in all.
func indexOf[T comparable](all []T, x T) int {
	i := slices.Index(all, x)
	if i < 0 {
		edges.Fail("%v is none of %v", x, all)
	}
	return i
}

func (n *names) index(replica tla.Value) int {
	m, _ := replica.(tla.Model)
	return indexOf(n.order, m)
}

func (n *names) replicaID(replica tla.Value) protocol.ReplicaID {
	return protocol.ReplicaID(1<<4 | n.index(replica))
}

func (n *names) replica(id protocol.ReplicaID) tla.Model {
	if id>>4 != 1 || id.Index() >= len(n.order) {
		edges.Fail("there is no replica %d", id)
	}
	return n.order[id.Index()]
}

func (n *names) bits(set tla.Value) (bits uint16) {
	for _, r := range set.(tla.Set) {
		bits |= 1 << n.index(r)
	}
	return bits
}

func (n *names) set(bits uint16) tla.Set {
	var all []tla.Value
	for i := range protocol.MaxMembers {
		if bits>>i&1 != 0 {
			all = append(all, n.replica(protocol.ReplicaID(1<<4|i)))
		}
	}
	return tla.NewSet(all...)
}

func address(last byte) protocol.Address {
	return protocol.Address{IP: [4]byte{10, 0, 0, last}, Port: protocol.Port, MAC: [6]byte{2, 0, 0, 0, 0, last}}
}

func replicaAddress(index int) protocol.Address { return address(byte(10 + index)) }

// client returns the address of a client, or none for None.
func (n *names) clientAddress(client tla.Value) protocol.Address {
	if client == none {
		return protocol.Address{}
	}
	name, _ := client.(tla.String)
	return address(byte(100 + indexOf(n.clients, string(name))))
}

func (n *names) client(a protocol.Address) tla.Value {
	if a == (protocol.Address{}) {
		return none
	}
	i := int(a.IP[3]) - 100
	if i < 0 || i >= len(n.clients) || a != address(a.IP[3]) {
		edges.Fail("no client is at %v", a)
	}
	return tla.String(n.clients[i])
}

func (n *names) sessionID(session tla.Value) protocol.SessionID {
	if session == none {
		return 0
	}
	s := session.(tla.Tuple)
	slot, _ := s[2].(tla.Model)
	return protocol.MintSessionID(protocol.Epoch(s[0].(tla.Int)), uint16(s[1].(tla.Int)), indexOf(n.slots, slot))
}

func (n *names) session(id protocol.SessionID) tla.Value {
	if id == 0 {
		return none
	}
	if id.Slot() >= len(n.slots) {
		edges.Fail("session %v has no slot", id)
	}
	return tla.NewTuple(tla.Int(id.Epoch()), tla.Int(id.Count()), n.slots[id.Slot()])
}

// nonce of the specification is a client's nth; in the Go model it also says where
// to begin to look.
func (n *names) nonceID(nonce tla.Value) uint64 {
	if nonce == none {
		return 0
	}
	t := nonce.(tla.Tuple)
	client := indexOf(n.clients, string(t[0].(tla.String)))
	return (uint64(client+1)<<16|uint64(t[1].(tla.Int)))<<nonceShift | uint64(n.slot)
}

func (n *names) nonce(id uint64) tla.Value {
	if id == 0 {
		return none
	}
	client, count := int(id>>nonceShift>>16)-1, id>>nonceShift&0xffff
	if client < 0 || client >= len(n.clients) {
		edges.Fail("%#x is nobody's nonce", id)
	}
	return tla.NewTuple(tla.String(n.clients[client]), tla.Int(count))
}

// seqs of the specification are the last that there are in the Go model.
func (n *names) seqOf(seq tla.Value) uint64 {
	if seq == tla.Int(0) {
		return 0
	}
	return n.lastGiven(seq)
}

// lastGiven is the counter from which sequence numbers are given.
func (n *names) lastGiven(seq tla.Value) uint64 {
	return protocol.MaxSeq - n.lastSeq + uint64(seq.(tla.Int))
}

func (n *names) seq(seq uint64) tla.Int {
	if seq == 0 {
		return 0
	}
	low := seq - (protocol.MaxSeq - n.lastSeq)
	if low > n.lastSeq {
		edges.Fail("sequence number %d is not among the last %d", seq, n.lastSeq)
	}
	return tla.Int(low)
}

func (n *names) versionOf(version tla.Value) protocol.Version {
	v := version.(tla.Tuple)
	return protocol.Version{Epoch: protocol.Epoch(v[0].(tla.Int)), Seq: n.seqOf(v[1])}
}

func (n *names) version(v protocol.Version) tla.Value {
	return tla.NewTuple(tla.Int(v.Epoch), n.seq(v.Seq))
}

func (n *names) hopsOf(hops tla.Value) uint8 {
	return uint8(protocol.MaxHops - n.maxHops + int(hops.(tla.Int)))
}

func (n *names) hops(hops uint8) tla.Int {
	return tla.Int(max(0, int(hops)-(protocol.MaxHops-n.maxHops)))
}

// payload is a put, or a delete where the value is Absent.
func payload(value tla.Value) (protocol.Op, []byte) {
	if value == absent {
		return protocol.OpDelete, nil
	}
	return protocol.OpPut, []byte(value.(tla.String))
}

func valueOf(op protocol.Op, value []byte) tla.Value {
	switch {
	case op == protocol.OpPut:
		return tla.String(value)
	case len(value) > 0:
		edges.Fail("operation %v has the value %q", op, value)
	}
	return absent
}

// contents are what a key may be written, Absent for its delete.
func (n *names) contents(key string) []tla.Value {
	all := []tla.Value{absent}
	for _, c := range n.clients {
		for _, p := range tla.Pairs(tla.Apply(n.calls, tla.String(c))) {
			for _, call := range p.Value.(tla.Set) {
				if r := call.(tla.Record); r.Get("op") == tla.String("write") && r.Get("key") == tla.String(key) {
					all = append(all, r.Get("value"))
				}
			}
		}
	}
	return all
}

// written finds the key and value that a hash and a digest are of.
func (n *names) written(op protocol.Op, hash uint64, digest uint32) (key, value tla.Value) {
	for _, k := range n.keys {
		for _, v := range n.contents(k) {
			if o, text := payload(v); o == op && protocol.KeyHash([]byte(k)) == hash && protocol.Digest([]byte(k), text) == digest {
				return tla.String(k), v
			}
		}
	}
	edges.Fail("nobody writes what has operation %v, hash %x and digest %x", op, hash, digest)
	return nil, nil
}
