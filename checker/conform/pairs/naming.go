// SPDX-License-Identifier: Apache-2.0

package pairs

import (
	"fmt"
	"maps"

	"dalio/protocol"
	"dalio/spec/tla"
)

const (
	// unit is the time, in nanoseconds, that the specification counts in.
	unit = 1000
	// theNow is the time at which its clock stands, in units.
	theNow = 3
	// theTick is the clock of session reclaim, and ttl how long a session may be idle.
	theTick, ttl = 100, 1
	// Numbers of the specification from lateNumber on stand for the last ones that
	// there are; its very last is lastNumber.
	lateNumber, lastNumber = 50, 99
	lastCount              = 1<<16 - 1
	// noSlot stands for a slot that the table lacks, noIndex for an index that no
	// replica has.
	noSlot, noIndex = 7, 13
)

// none is the model value None.
const none = tla.Model("None")

// naming says which index each replica of the specification has, which slot each
// of its slots is, and which numbers and bytes its other names stand for. There are
// several: what is right for one must be right for all.
type naming struct {
	index map[tla.Model]int
	slot  map[tla.Model]int
	// epochs is added to the number of every epoch.
	epochs int
	// shift is added to the time of every message that has one.
	shift uint64
	// second chooses other bytes.
	second bool
}

// namings returns the two that every pair is run with. The second has the highest
// index, and lower ones that are not in the order of the names.
func namings(replicas, slots []tla.Model) [2]naming {
	indices := [2][]int{{0, 1, 2, 3}, {9, 15, 0, 4}}
	var all [2]naming
	for i := range all {
		n := naming{index: map[tla.Model]int{}, slot: map[tla.Model]int{}, epochs: 1000 * i, second: i == 1}
		for j, r := range replicas {
			n.index[r] = indices[i][j]
		}
		for j, s := range slots {
			n.slot[s] = j ^ i*(len(slots)-1)
		}
		all[i] = n
	}
	return all
}

// renamed is the naming of values that were renamed: it gives the new name what the
// old one had.
func (n naming) renamed(to map[tla.Model]tla.Model) naming {
	r := n
	r.index, r.slot = maps.Clone(n.index), maps.Clone(n.slot)
	for old, name := range to {
		if i, ok := n.index[old]; ok {
			r.index[name] = i
		}
		if s, ok := n.slot[old]; ok {
			r.slot[name] = s
		}
	}
	return r
}

func (n naming) epoch(v tla.Value) protocol.Epoch {
	if v == tla.Int(0) {
		return 0
	}
	return protocol.Epoch(integer(v) + n.epochs)
}

// sequence returns a sequence number.
func sequence(v tla.Value) uint64 {
	if i := integer(v); i >= lateNumber {
		return protocol.MaxSeq - uint64(lastNumber-i)
	}
	return uint64(integer(v))
}

// sent returns the time at which a message was sent, 0 for one that says nothing.
func (n naming) sent(v tla.Value) uint64 {
	if v == tla.Int(0) {
		return 0
	}
	return unit*uint64(integer(v)) + n.shift
}

func (n naming) version(v tla.Value) protocol.Version {
	t := v.(tla.Tuple)
	return protocol.Version{Epoch: n.epoch(t[0]), Seq: sequence(t[1])}
}

func (n naming) session(v tla.Value) protocol.SessionID {
	t := v.(tla.Tuple)
	if t[0] == tla.Int(0) {
		return 0
	}
	count := integer(t[1])
	if count >= lateNumber {
		count = lastCount - (lastNumber - count)
	}
	slot, ok := n.slot[t[2].(tla.Model)]
	if !ok {
		slot = noSlot
	}
	return protocol.MintSessionID(n.epoch(t[0]), uint16(count), slot)
}

// id returns the id of a replica. Generation 0 at an index is an id of nobody's.
func (n naming) id(v tla.Value) protocol.ReplicaID {
	t := v.(tla.Tuple)
	generation := integer(t[1])
	index, ok := n.index[t[0].(tla.Model)]
	switch {
	case !ok && generation == 0:
		return 0
	case !ok:
		index = noIndex
	}
	return protocol.ReplicaID(generation<<4 | index)
}

func host(last byte, port uint16) protocol.Address {
	return protocol.Address{IP: [4]byte{10, 0, 0, last}, Port: port, MAC: [6]byte{2, 0, 0, 0, 0, last}}
}

// self is the coordinator's address.
var self = host(1, protocol.Port)

func (n naming) member(r tla.Model) protocol.Address {
	return host(byte(16+n.index[r]), protocol.Port)
}

// address returns the address of a client or a replica, or none.
func (n naming) address(v tla.Value) protocol.Address {
	switch v := v.(type) {
	case tla.String:
		return host('0'+v[0], 40000+uint16(v[0]))
	case tla.Model:
		if v != none {
			return n.member(v)
		}
	}
	return protocol.Address{}
}

// sender is the address that a packet is from. One of nobody's lacks a port, or
// else the host.
func (n naming) sender(v tla.Value) protocol.Address {
	if v != none {
		return n.address(v)
	}
	a := host(99, 0)
	if n.second {
		a.IP, a.Port = [4]byte{}, 9
	}
	return a
}

// bytes returns the key or value of a name.
func (n naming) bytes(v tla.Value) []byte {
	switch name := text(v); {
	case name == "":
		return nil
	case name == "long":
		return make([]byte, protocol.MaxKeySize+1)
	case n.second:
		return []byte(name + "-of-another-length")
	default:
		return []byte(name)
	}
}

// hash and digest are those that a message names, whatever its key and value are.
func (n naming) hash(v tla.Value) uint64 {
	if text(v) == "" {
		return 0
	}
	return protocol.KeyHash(n.bytes(v))
}

func (n naming) digest(v tla.Value) uint32 {
	if text(v) == "" {
		return 0
	}
	return protocol.Digest(n.bytes(v), nil)
}

func (n naming) set(v tla.Value) uint16 {
	var set uint16
	for _, r := range v.(tla.Set) {
		set |= 1 << n.index[r.(tla.Model)]
	}
	return set
}

// integer and text read values whose kind the specification fixes.
func integer(v tla.Value) int { return int(v.(tla.Int)) }
func text(v tla.Value) string { return string(v.(tla.String)) }

// at returns what a function of model values has for one.
func at(f tla.Value, name tla.Model) tla.Value {
	v := tla.Apply(f, name)
	if v == nil {
		panic(fmt.Sprintf("pairs: %v has nothing for %v", f, name))
	}
	return v
}
