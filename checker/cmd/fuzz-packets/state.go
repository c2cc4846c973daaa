// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"

	"dalio/protocol"
)

// The coordinator is 10.0.0.1, replica i is 10.0.0.16+i, client i 10.0.0.100+i.
func host(n byte, port uint16) protocol.Address {
	return protocol.Address{IP: [4]byte{10, 0, 0, n}, Port: port, MAC: [6]byte{2, 0, 0, 0, 0, n}}
}

var self = host(1, protocol.Port)

func replica(index int) protocol.Member {
	return protocol.Member{ID: protocol.ReplicaID(1<<4 | index), Address: host(byte(16+index), protocol.Port)}
}

func client(n int) protocol.Address { return host(byte(100+n), uint16(40000+n)) }

const (
	slots   = 16
	ttl     = 2
	lease   = 1000
	clients = 4
	all     = 1<<protocol.MaxMembers - 1
)

// anyState draws where an episode begins: a shard of any size, at any time of its
// epoch, with sessions of this and earlier epochs in every state.
func anyState(r *rand.Rand) *protocol.Coordinator {
	members := [...]int{3, 3, 3, 3, 1, 2, 4, 5, 16}[r.IntN(9)]
	c := &protocol.Coordinator{
		Self: self, Epoch: [...]protocol.Epoch{1, 7, 7, 7, 1 << 24, 1<<32 - 1}[r.IntN(6)], SessionTTL: ttl, Lease: lease,
		Members: 1<<members - 1, Tick: [...]uint32{0, 1, 20, 1<<32 - 2}[r.IntN(4)], Now: r.Uint64N(3 * lease),
		NextSeq: [...]uint64{0, 60, 60, 60, protocol.MaxSeq - 40}[r.IntN(5)], Sessions: make([]protocol.SessionEntry, slots),
	}
	c.Serving = c.Members
	if r.IntN(3) == 0 {
		c.Serving &= uint16(r.Uint32())
	}
	for i := range members {
		c.Known[i] = replica(i)
		c.Answered[i] = r.Uint64N(c.Now + 1)
	}
	c.Held = c.Now - min(c.Now, r.Uint64N(2*lease))
	// One that is known and no member.
	c.Known[14] = replica(14)
	c.MinMembers = r.IntN(members + 1)
	for slot := range c.Sessions {
		if c.NextSeq >= slots {
			c.Sessions[slot] = anyEntry(r, c, slot)
		}
	}
	return c
}

// anyEntry draws what is in a slot, as a run of the protocol could have left it.
func anyEntry(r *rand.Rand, c *protocol.Coordinator, slot int) protocol.SessionEntry {
	epoch := c.Epoch & 0xFFFFFF
	e := protocol.SessionEntry{Owner: protocol.MintSessionID(epoch, uint16(1+r.IntN(3)), slot), Nonce: uint64(1 + slot + r.IntN(3)), Tick: c.Tick - uint32(r.IntN(4))}
	wrote := func() {
		m := request(e.Owner, 5, protocol.OpPut, 0)
		e.Request, e.Op, e.KeyHash, e.Digest = 5, m.Op, m.KeyHash, m.Digest
		e.Seq, e.Acks = c.NextSeq-uint64(slot), all
	}
	switch r.IntN(8) {
	case 0:
		return protocol.SessionEntry{}
	case 1: // Opened, nothing written yet.
	case 2:
		wrote()
	case 3, 4:
		wrote()
		e.Acks = uint16(r.Uint32()) & c.Members
	case 5: // The last session that the slot can have in this epoch.
		e.Owner = protocol.MintSessionID(epoch, 0xFFFF, slot)
	case 6: // Written in an epoch before.
		wrote()
		e.Owner = protocol.MintSessionID((epoch-1)&0xFFFFFF, 3, slot)
		e.Settled, e.Seq, e.Acks = protocol.Version{Epoch: (epoch - 1) & 0xFFFFFF, Seq: 9}, 0, 0
	case 7: // A session of an epoch before that went on in this one.
		wrote()
		e.Owner, e.Nonce = protocol.MintSessionID((epoch-1)&0xFFFFFF, 3, slot), 0
		e.Acks = uint16(r.Uint32()) & c.Members
	}
	return e
}

var keys = [...][]byte{[]byte("k"), []byte("key"), []byte("another key")}

// request is a write request; what differs chooses its key and value.
func request(session protocol.SessionID, id uint64, op protocol.Op, differs int) protocol.Message {
	key, value := keys[differs%len(keys)], []byte{'v', byte(differs)}
	if op == protocol.OpDelete {
		value = nil
	}
	return protocol.Message{Type: protocol.WriteRequest, Op: op, Session: session, Request: id,
		Key: key, Value: value, KeyHash: protocol.KeyHash(key), Digest: protocol.Digest(key, value)}
}
