// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"slices"

	"dalio/protocol"
)

// Corners are the states and frames that walks come upon too seldom: what is at a
// bound, and what is just beyond it; each member in turn; each answer to a write.

// corner is a message in a state of the fixture's.
func corner(c *protocol.Coordinator, m protocol.Message, from protocol.Address) occasion {
	before := clone(c)
	move(before)
	return newOccasion(before, disguise(protocol.NewFrame(&m, from, self)))
}

// cornersIn returns those of a setting.
func cornersIn(s *setting) (all []occasion) {
	for _, o := range corners() {
		c := clone(o.before)
		c.Lease, c.Sessions = uint64(s.options.Lease), c.Sessions[:s.options.MaxSessions]
		all = append(all, newOccasion(c, o.frame))
	}
	return all
}

func corners() []occasion {
	return slices.Concat(cornersOfOpening(), cornersOfWriting(), cornersOfMembers(), cornersOfClients(), cornersOfReading(), cornersOfLease(), cornersOfIds())
}

// cornersOfOpening: in a window of taken slots one, at each place in turn, that may
// or may not be given away.
func cornersOfOpening() (all []occasion) {
	const nonce, tick = 5, 1000
	taken := func(c *protocol.Coordinator, slot int, epoch protocol.Epoch, count uint16, idle uint32) protocol.SessionEntry {
		return protocol.SessionEntry{Owner: protocol.MintSessionID(epoch, count, slot), Nonce: 777, Request: 3, Seq: 40 + uint64(slot),
			Acks: committedAcks, Op: protocol.OpPut, Tick: c.Tick - idle}
	}
	for place := range protocol.OpenWindow {
		for _, special := range []func(*protocol.Coordinator, int) protocol.SessionEntry{
			func(*protocol.Coordinator, int) protocol.SessionEntry { return protocol.SessionEntry{} },
			func(c *protocol.Coordinator, slot int) protocol.SessionEntry { return taken(c, slot, 7, 3, testTTL) },
			func(c *protocol.Coordinator, slot int) protocol.SessionEntry { return taken(c, slot, 7, 3, testTTL-1) },
			func(c *protocol.Coordinator, slot int) protocol.SessionEntry { return taken(c, slot, 7, 0xFFFE, 9) },
			func(c *protocol.Coordinator, slot int) protocol.SessionEntry { return taken(c, slot, 7, 0xFFFF, 9) },
			func(c *protocol.Coordinator, slot int) protocol.SessionEntry { return taken(c, slot, 6, 0xFFFF, 9) },
			func(c *protocol.Coordinator, slot int) protocol.SessionEntry { return taken(c, slot, 3, 2, 9) },
			func(c *protocol.Coordinator, slot int) protocol.SessionEntry {
				e := taken(c, slot, 7, 3, 9)
				e.Acks = 1
				return e
			},
			func(c *protocol.Coordinator, slot int) protocol.SessionEntry {
				e := taken(c, slot, 7, 3, 0)
				e.Nonce, e.Request = nonce, 0
				return e
			},
			func(c *protocol.Coordinator, slot int) protocol.SessionEntry {
				e := taken(c, slot, 7, 3, 0)
				e.Nonce = nonce
				return e
			},
			func(*protocol.Coordinator, int) protocol.SessionEntry { return protocol.SessionEntry{Nonce: nonce} },
			func(c *protocol.Coordinator, slot int) protocol.SessionEntry {
				// The clock is about to begin anew: the sum of both times has already.
				c.Tick = 1<<32 - 2
				for i := range c.Sessions {
					c.Sessions[i].Tick = c.Tick
				}
				e := taken(c, slot, 7, 3, 0)
				e.Tick = 3
				return e
			},
		} {
			c := shard(3)
			c.Epoch, c.Tick, c.NextSeq = 7, tick, 90
			for slot := range c.Sessions {
				c.Sessions[slot] = taken(c, slot, 7, 1, 0)
			}
			slot := (nonce + place) % testSlots
			c.Sessions[slot] = special(c, slot)
			all = append(all, corner(c, protocol.Message{Type: protocol.OpenRequest, Request: nonce}, client(1)))
		}
	}
	return all
}

// cornersOfWriting: each answer to a write, also to one with a single byte of payload.
func cornersOfWriting() (all []occasion) {
	for _, m := range []protocol.Message{writeRequest(0, 6, "key", "value"), writeRequest(0, 6, "k", ""), writeRequest(0, 6, "kk", "")} {
		m.Op = protocol.OpPut
		if len(m.Value) == 0 {
			m.Op = protocol.OpDelete
		}
		for _, change := range []func(c *protocol.Coordinator, e *protocol.SessionEntry, m *protocol.Message){
			func(*protocol.Coordinator, *protocol.SessionEntry, *protocol.Message) {},
			func(_ *protocol.Coordinator, e *protocol.SessionEntry, _ *protocol.Message) { e.Acks = 0b010 },
			func(_ *protocol.Coordinator, e *protocol.SessionEntry, _ *protocol.Message) { e.Acks = 0b111 },
			func(_ *protocol.Coordinator, e *protocol.SessionEntry, _ *protocol.Message) { e.Acks = 0b1111 },
			func(c *protocol.Coordinator, e *protocol.SessionEntry, _ *protocol.Message) {
				c.Members, c.Serving, e.Acks = 0, 0, 0
			},
			func(_ *protocol.Coordinator, e *protocol.SessionEntry, _ *protocol.Message) {
				e.Seq, e.Acks, e.Settled = 0, 0, protocol.Version{Epoch: 5, Seq: 31}
			},
			func(_ *protocol.Coordinator, _ *protocol.SessionEntry, m *protocol.Message) { m.Digest++ },
			func(_ *protocol.Coordinator, _ *protocol.SessionEntry, m *protocol.Message) { m.KeyHash++ },
			func(_ *protocol.Coordinator, e *protocol.SessionEntry, _ *protocol.Message) { e.Op = 3 - e.Op },
			func(_ *protocol.Coordinator, _ *protocol.SessionEntry, m *protocol.Message) { m.Request-- },
			func(_ *protocol.Coordinator, _ *protocol.SessionEntry, m *protocol.Message) { m.Request++ },
			func(_ *protocol.Coordinator, e *protocol.SessionEntry, m *protocol.Message) { m.Request++; e.Acks = 1 },
			func(c *protocol.Coordinator, _ *protocol.SessionEntry, m *protocol.Message) {
				m.Request++
				c.MinMembers = 4
			},
			func(c *protocol.Coordinator, _ *protocol.SessionEntry, m *protocol.Message) {
				m.Request++
				c.Members, c.Serving = 0, 0
			},
			func(c *protocol.Coordinator, _ *protocol.SessionEntry, m *protocol.Message) {
				m.Request++
				c.NextSeq = protocol.MaxSeq
			},
			func(c *protocol.Coordinator, _ *protocol.SessionEntry, m *protocol.Message) {
				m.Request++
				c.NextSeq = protocol.MaxSeq - 1
			},
			func(c *protocol.Coordinator, _ *protocol.SessionEntry, m *protocol.Message) {
				m.Request++
				c.NextSeq = 91
			},
			func(_ *protocol.Coordinator, _ *protocol.SessionEntry, m *protocol.Message) { m.Session++ },
			func(_ *protocol.Coordinator, _ *protocol.SessionEntry, m *protocol.Message) { m.Session = 1<<24 - 1 },
			func(_ *protocol.Coordinator, _ *protocol.SessionEntry, m *protocol.Message) {
				m.Session = protocol.MintSessionID(8, 1, 3)
			},
			func(_ *protocol.Coordinator, _ *protocol.SessionEntry, m *protocol.Message) {
				m.Session = protocol.MintSessionID(7, 2, 3)
			},
			func(_ *protocol.Coordinator, e *protocol.SessionEntry, m *protocol.Message) {
				e.Owner, m.Session = protocol.MintSessionID(5, 1, 3), protocol.MintSessionID(6, 1, 3)
			},
			func(_ *protocol.Coordinator, e *protocol.SessionEntry, m *protocol.Message) {
				e.Owner, m.Session = protocol.MintSessionID(6, 2, 3), protocol.MintSessionID(6, 1, 3)
			},
			func(_ *protocol.Coordinator, e *protocol.SessionEntry, m *protocol.Message) {
				e.Owner, m.Session, e.Acks = protocol.MintSessionID(5, 1, 3), protocol.MintSessionID(6, 1, 3), 1
			},
			func(_ *protocol.Coordinator, e *protocol.SessionEntry, m *protocol.Message) {
				*e, m.Session = protocol.SessionEntry{}, protocol.MintSessionID(6, 1, 3)
			},
		} {
			c, m := shard(3), m
			c.Epoch, c.NextSeq, c.Tick = 7, 90, 1000
			m.Session = protocol.MintSessionID(7, 1, 3)
			c.Sessions[3] = protocol.SessionEntry{Owner: m.Session, Nonce: 4, Request: 6, Seq: 50, Acks: committedAcks, Op: m.Op,
				KeyHash: m.KeyHash, Digest: m.Digest, Tick: 990}
			change(c, &c.Sessions[3], &m)
			all = append(all, corner(c, m, client(2)))
		}
	}
	return all
}

// awaiting returns a full shard with a write that the members of a set have not
// acknowledged, and the write.
func awaiting(missing uint16) (*protocol.Coordinator, protocol.Message) {
	c := shard(protocol.MaxMembers)
	c.Epoch, c.NextSeq = 7, 90
	m := writeRequest(protocol.MintSessionID(7, 1, 3), 6, "key", "value")
	c.Sessions[3] = protocol.SessionEntry{Owner: m.Session, Request: 6, Seq: 50, Acks: ^missing, Op: m.Op, KeyHash: m.KeyHash, Digest: m.Digest}
	return c, m
}

// answered makes a write the reply of a replica that has it.
func answered(m protocol.Message, i int) protocol.Message {
	m.Type, m.Epoch, m.Replica, m.Client, m.Writer = protocol.ReadReply, 7, replica(i).ID, client(1), m.Session
	m.Version = protocol.Version{Epoch: 7, Seq: 50}
	return m
}

// cornersOfMembers: each member, and each pair, is the one that has not acknowledged.
func cornersOfMembers() (all []occasion) {
	for i := range protocol.MaxMembers {
		for j := range protocol.MaxMembers {
			c, m := awaiting(1<<i | 1<<j)
			all = append(all, corner(c, m, client(1)))
			ack := answered(m, i)
			ack.Type, ack.Key, ack.Value = protocol.WriteAck, nil, nil
			all = append(all, corner(c, ack, replica(i).Address))
			for _, hops := range []uint8{0, protocol.MaxHops - 1, protocol.MaxHops} {
				reply := answered(m, j)
				reply.Hops = hops
				all = append(all, corner(c, reply, replica(j).Address))
			}
			c.Serving = 1 << j
			all = append(all, corner(c, answered(m, j), replica(j).Address))
			// Those that are left have all acknowledged it.
			c.Members &^= 1<<i | 1<<j
			c.Serving = c.Members & 0x5555
			for from := range 2 {
				if c.Serving>>from&1 != 0 {
					all = append(all, corner(c, answered(m, from), replica(from).Address))
				}
			}
			all = append(all, corner(c, m, client(1)))
		}
	}
	return all
}

// cornersOfClients: the last acknowledgement says, or does not say, whom to answer.
func cornersOfClients() (all []occasion) {
	for _, to := range []protocol.Address{client(1), {IP: [4]byte{10, 0, 0, 101}}, {IP: [4]byte{10, 0, 0, 101}, Port: 256}, {Port: 9}, {}} {
		for _, sent := range []uint64{1, 1 << 63, 1<<64 - 1} {
			c, m := awaiting(1 << 5)
			ack := answered(m, 5)
			ack.Type, ack.Key, ack.Value, ack.Client, ack.Sent = protocol.WriteAck, nil, nil, to, sent
			all = append(all, corner(c, ack, replica(5).Address))
			reply := answered(m, 5)
			reply.Client, reply.Sent, reply.Version = to, sent, protocol.Version{}
			all = append(all, corner(c, reply, replica(5).Address))
		}
	}
	// A single member.
	for i := range protocol.MaxMembers {
		for _, missing := range []uint16{0, 1 << i} {
			c, m := awaiting(missing)
			c.Sessions[3].Acks &= 0x7FFF | 1<<i
			c.Members, c.Serving = 1<<i, 1<<i
			all = append(all, corner(c, answered(m, i), replica(i).Address), corner(c, m, client(1)))
		}
	}
	return all
}

// cornersOfReading: each number of serving members, each turn.
func cornersOfReading() (all []occasion) {
	for serving := range uint16(40) {
		for turn := range uint64(17) {
			c := shard(protocol.MaxMembers)
			c.Serving = serving * 1638
			m := readRequest(1+turn, "key")
			m.Session, m.Attempt = protocol.SessionID(1000*turn), uint8(7*turn)
			all = append(all, corner(c, m, client(1)))
		}
	}
	for _, v := range []protocol.Version{{}, {Epoch: 7}, {Seq: 1}, {Epoch: 6, Seq: 50}, {Epoch: 8, Seq: 50}, {Epoch: 7, Seq: 49}, {Epoch: 7, Seq: 50}, {Epoch: 7, Seq: 51}} {
		for _, op := range []protocol.Op{protocol.OpNone, protocol.OpPut, protocol.OpDelete, 3} {
			for _, acks := range []uint16{0, 1, committedAcks} {
				c, m := awaiting(0)
				c.Sessions[3].Acks = acks
				reply := answered(m, 5)
				reply.Version, reply.Op = v, op
				all = append(all, corner(c, reply, replica(5).Address))
			}
		}
	}
	return all
}

// cornersOfLease: who has been silent for how long, and what was sent when.
func cornersOfLease() (all []occasion) {
	const now = 50_000
	for i := range protocol.MaxMembers {
		for _, silent := range []uint64{0, testLease - 1, testLease, testLease + 1, 3 * testLease} {
			c := shard(protocol.MaxMembers)
			c.Epoch, c.Now = 7, now
			for j := range c.Answered {
				c.Answered[j] = now - uint64(j)
			}
			c.Answered[i] = now - silent
			reply := protocol.Message{Type: protocol.ReadReply, Epoch: 7, Replica: replica(3).ID, Key: []byte("key"), Client: client(2), Request: 4}
			for _, hops := range []uint8{0, protocol.MaxHops - 1, protocol.MaxHops} {
				reply.Hops = hops
				all = append(all, corner(c, reply, replica(3).Address))
			}
			all = append(all, corner(c, protocol.Message{Type: protocol.Probe, Sent: 9}, client(1)))
			c.Serving &^= 1 << i
			all = append(all, corner(c, reply, replica(3).Address))
			c.Members, c.Serving = c.Members&^(1<<i), c.Serving|8
			all = append(all, corner(c, reply, replica(3).Address))
		}
	}
	for _, silent := range []uint64{testLease, testLease + 1} {
		for _, held := range []uint64{now - testLease - 1, now - 1, now} {
			for _, sent := range []uint64{0, held - 1, held, held + 1} {
				c := shard(3)
				c.Epoch, c.Now, c.Held = 7, now, held
				for i := range c.Answered {
					c.Answered[i] = now - silent
				}
				all = append(all, corner(c, protocol.Message{Type: protocol.ReadReply, Epoch: 7, Replica: replica(1).ID, Key: []byte("key"),
					Client: client(2), Request: 4, Sent: sent}, replica(1).Address))
			}
		}
	}
	for _, members := range []uint16{0, 1} {
		c := shard(3)
		c.Epoch, c.Members, c.Serving, c.Now = 7, members, 0, 9*testLease
		all = append(all, corner(c, protocol.Message{Type: protocol.Probe, Sent: 9}, client(1)))
	}
	for _, sent := range []uint64{0, now - 801, now - 800, now - 799, now - 1, now, now + 1, 1 << 63} {
		c, m := awaiting(0b111)
		c.Now = now
		for i := range c.Answered {
			c.Answered[i] = now - 800
		}
		reply := answered(m, 1)
		ack := reply
		ack.Type, ack.Key, ack.Value = protocol.WriteAck, nil, nil
		for _, told := range []protocol.Message{reply, ack, {Type: protocol.ProbeReply, Epoch: 7, Replica: replica(1).ID}} {
			told.Sent = sent
			all = append(all, corner(c, told, replica(1).Address))
		}
	}
	return all
}

// cornersOfIds: replicas with the first ids, and none.
func cornersOfIds() (all []occasion) {
	nobody := protocol.Address{}
	for _, kind := range []protocol.MessageType{protocol.ReadReply, protocol.WriteAck, protocol.ProbeReply} {
		c, m := awaiting(0)
		c.Known[0], c.Known[1].ID = protocol.Member{}, 1
		m = answered(m, 1)
		m.Type = kind
		if kind != protocol.ReadReply {
			m.Key, m.Value = nil, nil
		}
		m.Replica = 1
		all = append(all, corner(c, m, replica(1).Address), corner(c, m, replica(2).Address))
		other := replica(1).Address
		other.Port++
		all = append(all, corner(c, m, other))
		m.Replica = 0
		all = append(all, corner(c, m, nobody), corner(c, m, replica(0).Address))
		m.Replica = replica(1).ID
		all = append(all, corner(c, m, replica(1).Address))
	}
	for _, from := range []protocol.Address{{Port: 9}, {IP: [4]byte{10, 0, 0, 101}}} {
		c := shard(3)
		for _, m := range []protocol.Message{{Type: protocol.Probe}, {Type: protocol.OpenRequest, Request: 4}, readRequest(4, "key"), writeRequest(1<<40, 1, "key", "v")} {
			all = append(all, corner(c, m, from))
		}
	}
	return all
}
