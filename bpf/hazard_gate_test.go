// SPDX-License-Identifier: Apache-2.0

package bpf

import "dalio/protocol"

// homeless is a session of the slot's that is not in the table.
func homeless(slot int) protocol.SessionID { return protocol.MintSessionID(2, 9, slot) }

func hazardsOfCommits() []hazard {
	return []hazard{{
		name: "6: a commit settles a newer write of the key",
		run: func(s *stage) {
			older, newer := s.write(0, 1, "v"), s.write(1, 1, "w")
			s.acknowledge(newer, 0)
			s.acknowledge(older, 0, 1)
			s.commit(older, 2)
			s.read("the newer one, held by replica 0 alone", reply(newer, 0), false)
			s.acknowledge(newer, 1)
			s.commit(newer, 2)
		},
	}, {
		name: "7: a write is committed by one of the members",
		run: func(s *stage) {
			w := s.write(0, 1, "v")
			s.acknowledge(w, 0)
			s.read("held by one of three", reply(w, 0), false)
			s.acknowledge(w, 1)
			s.read("held by two of three", reply(w, 1), false)
			s.commit(w, 2)
		},
	}, {
		name: "23: a write that a newer one replaces is answered early",
		run: func(s *stage) {
			older, newer := s.write(0, 1, "v"), s.write(1, 1, "w")
			s.acknowledge(older, 0)
			s.acknowledge(newer, 0, 1)
			s.commit(newer, 2)
			s.acknowledge(older, 0, 1)
			s.commit(older, 2)
		},
	}}
}

func hazardsOfReads() []hazard {
	return []hazard{{
		name: "3: a read is taken for clean when it is sent, not when its reply comes",
		run: func(s *stage) {
			out, _ := s.give(readRequest(1, "k"), client(3))
			if out.Type != protocol.Read {
				s.complain("a read is not forwarded, but becomes a %v", out.Type)
			}
			w := s.write(0, 1, "v")
			overtaken := reply(w, out.Replica.Index())
			s.read("overtaken by the write", overtaken, false)
			s.acknowledge(w, 0, 1)
			s.commit(w, 2)
			s.read("when that is committed", overtaken, true)
		},
	}, {
		name: "4: a value is released that not all members have",
		run: func(s *stage) {
			older := s.write(0, 1, "v")
			s.acknowledge(older, 0, 1)
			s.commit(older, 2)
			newer := s.write(1, 1, "w")
			s.acknowledge(newer, 0)
			s.read("the newer one, where it is", reply(newer, 0), false)
			s.read("the older one, where it is not", reply(older, 1), true)
			s.acknowledge(newer, 1)
			s.read("the newer one, held by two of three", reply(newer, 1), false)
			s.commit(newer, 2)
			s.read("the newer one, held by all", reply(newer, 1), true)
		},
	}, {
		name: "12: nobody finishes the write of a vanished writer",
		run: func(s *stage) {
			w := s.write(0, 1, "v")
			s.acknowledge(w, 1)
			tired := reply(w, 0)
			tired.Hops = protocol.MaxHops
			out, o := s.give(tired, replica(0).Address)
			if out.Type != protocol.Write || out.Version != w.Version || o.Targets != 0b0101 {
				s.complain("after so many hops the reply becomes a %v of version %v to %04b (%v)", out.Type, out.Version, o.Targets, o.Reason)
			}
			s.acknowledge(out, 0)
			if _, o := s.give(ackOf(out, 2), replica(2).Address); o.Reason != protocol.Unclaimed {
				s.complain("the last acknowledgement is %v, want it to commit what nobody waits for", o.Reason)
			}
			s.read("when all have acknowledged", reply(w, 0), true)
		},
	}}
}

func hazardsOfTheTable() []hazard {
	return []hazard{{
		name: "14: two sessions collide in one slot",
		run: func(s *stage) {
			w := s.write(0, 1, "v")
			m := writeRequest(homeless(0), 1, "k", "w")
			s.retry("of another session", m, protocol.WriteResponse, protocol.StatusExpired, protocol.Version{})
			s.read("held by replica 0 alone", reply(w, 0), false)
			s.acknowledge(w, 0, 1)
			s.commit(w, 2)
		},
	}, {
		name: "15: a write that has no entry is multicast",
		run: func(s *stage) {
			m := writeRequest(homeless(7), 1, "k", "w")
			s.retry("of a session without an entry", m, protocol.WriteResponse, protocol.StatusExpired, protocol.Version{})
		},
	}, {
		name: "15: the table is full, and the slot of a pending write given away",
		run: func(s *stage) {
			var writes []protocol.Message
			for slot := range testSlots {
				id := session(slot)
				if slot >= 4 {
					out, _ := s.give(protocol.Message{Type: protocol.OpenRequest, Request: uint64(testSlots + slot)}, client(0))
					id = out.Session
				}
				w, _ := s.give(writeRequest(id, 1, "k", "v"), client(0))
				writes = append(writes, w)
			}
			s.tick(10 * testTTL)
			for slot, w := range writes {
				open := protocol.Message{Type: protocol.OpenRequest, Request: uint64(2*testSlots + slot)}
				if out, _ := s.give(open, client(1)); out.Status != protocol.StatusBusy {
					s.complain("slot %d is given to session %v", out.Session.Slot(), out.Session)
				}
				s.read("of a pending write", reply(w, 0), false)
			}
		},
	}, {
		name: "42: a refused write is taken for one made before",
		run: func(s *stage) {
			s.set("members", 0)
			m := writeRequest(session(0), 1, "k", "v")
			for range 2 {
				s.retry("with nobody there", m, protocol.WriteResponse, protocol.StatusBusy, protocol.Version{})
			}
			s.set("members", 0b0111)
			s.set("serving", 0b0111)
			w := s.write(0, 1, "v")
			s.read("held by replica 0 alone", reply(w, 0), false)
			s.acknowledge(w, 0, 1)
			s.commit(w, 2)
		},
	}}
}
