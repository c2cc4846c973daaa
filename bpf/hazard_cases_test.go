// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"slices"

	"dalio/protocol"
)

// hazards lists those that the coordinator alone has to do with. The others are
// between it, its successor and the replicas: see spec/README.md.
func hazards() []hazard {
	return slices.Concat(hazardsOfWrites(), hazardsOfCommits(), hazardsOfReads(), hazardsOfTheTable(), hazardsOfMembership())
}

func hazardsOfWrites() []hazard {
	return []hazard{{
		name: "2: a member's duplicates are counted",
		run: func(s *stage) {
			w := s.write(0, 1, "v")
			s.acknowledge(w, 0, 0, 0, 1, 1)
			s.read("held by two of three", reply(w, 0), false)
			s.commit(w, 2)
		},
	}, {
		name: "1: an acknowledgement of the session's write before counts",
		run: func(s *stage) {
			first := s.write(0, 1, "v")
			s.acknowledge(first, 0, 1)
			s.commit(first, 2)
			second := s.write(0, 2, "w")
			s.acknowledge(first, 0, 1, 2)
			s.acknowledge(second, 0, 1)
			s.read("held by two of three", reply(second, 0), false)
			s.commit(second, 2)
		},
	}, {
		name: "1: an acknowledgement of nothing counts",
		run: func(s *stage) {
			nothing := protocol.Message{Epoch: 2, Session: session(1), Writer: session(1), Client: client(1), Version: protocol.Version{Epoch: 2}}
			s.acknowledge(nothing, 0, 1, 2)
			w := s.write(1, 1, "v")
			s.acknowledge(w, 0, 1)
			s.commit(w, 2)
		},
	}, {
		name: "11: a retry gets another version",
		run: func(s *stage) {
			a := s.write(0, 1, "a")
			s.acknowledge(a, 0, 1)
			s.retry("while it is pending", writeRequest(session(0), 1, "k", "a"), protocol.Write, 0, a.Version)
			s.commit(a, 2)
			b := s.write(1, 1, "b")
			s.acknowledge(b, 0, 1)
			s.commit(b, 2)
			s.retry("after another's write", writeRequest(session(0), 1, "k", "a"), protocol.WriteResponse, protocol.StatusOK, a.Version)
		},
	}, {
		name: "11: a late request is sequenced after the session's next one",
		run: func(s *stage) {
			for request, value := range []string{"v", "w"} {
				w := s.write(0, uint64(request+1), value)
				s.acknowledge(w, 0, 1)
				s.commit(w, 2)
			}
			if out, o := s.give(writeRequest(session(0), 1, "k", "v"), client(0)); o.Reason != protocol.StaleRequest {
				s.complain("a late copy of request 1 becomes a %v of version %v (%v)", out.Type, out.Version, o.Reason)
			}
		},
	}, {
		name: "39: a request that was answered BUSY is sequenced after all",
		run: func(s *stage) {
			first := s.write(0, 1, "v")
			second := writeRequest(session(0), 2, "k", "w")
			s.retry("with one pending", second, protocol.WriteResponse, protocol.StatusBusy, protocol.Version{})
			s.acknowledge(first, 0, 1)
			s.commit(first, 2)
			w := s.write(0, 2, "w") // Another copy of it.
			s.retry("again", second, protocol.Write, 0, w.Version)
		},
	}, {
		name: "27: a request of the slot's former session is its new owner's",
		run: func(s *stage) {
			s.tick(testTTL)
			out, _ := s.give(protocol.Message{Type: protocol.OpenRequest, Request: 2 * testSlots}, client(1))
			if out.Status != protocol.StatusOK || out.Session.Slot() != 0 {
				s.complain("the idle slot 0 is not reclaimed: %v, session %v", out.Status, out.Session)
			}
			s.retry("of the former owner", writeRequest(session(0), 1, "k", "late"), protocol.WriteResponse, protocol.StatusExpired, protocol.Version{})
		},
	}, {
		name: "27: an open that names nothing gets a session",
		run: func(s *stage) {
			if out, o := s.give(protocol.Message{Type: protocol.OpenRequest}, client(1)); o.Reason != protocol.BadRequest {
				s.complain("an open without a nonce is given session %v (%v): so is the next one", out.Session, o.Reason)
			}
		},
	}, {
		name: "27: a slot forgets the version of its former session",
		run: func(s *stage) {
			w := s.write(0, 1, "v")
			s.acknowledge(w, 0, 1)
			s.commit(w, 2)
			s.tick(testTTL)
			s.give(protocol.Message{Type: protocol.OpenRequest, Request: 2 * testSlots}, client(1))
			s.read("committed before the slot was reclaimed", reply(w, 0), true)
		},
	}, {
		name: "27: a session of this epoch that lost its slot gets it back",
		run: func(s *stage) {
			m := writeRequest(protocol.MintSessionID(2, 2, 0), 1, "k", "late")
			s.retry("of a session that is not in the table", m, protocol.WriteResponse, protocol.StatusExpired, protocol.Version{})
		},
	}, {
		name: "27: a session of an earlier epoch gets the slot back from a later one",
		run: func(s *stage) {
			m := writeRequest(protocol.MintSessionID(1, 7, 0), 1, "k", "late")
			s.retry("of a session from before the owner", m, protocol.WriteResponse, protocol.StatusExpired, protocol.Version{})
		},
	}, {
		name: "14: a session of an earlier epoch gets the slot of a pending write",
		run: func(s *stage) {
			first, _ := s.give(writeRequest(protocol.MintSessionID(1, 1, 7), 1, "k", "v"), client(0))
			if first.Type != protocol.Write {
				s.complain("a session of an earlier epoch is told %v", first.Status)
			}
			m := writeRequest(protocol.MintSessionID(1, 2, 7), 1, "k", "w")
			s.retry("of a later session of the slot", m, protocol.WriteResponse, protocol.StatusExpired, protocol.Version{})
			s.read("held by replica 0 alone", reply(first, 0), false)
			s.retry("of the first one", writeRequest(protocol.MintSessionID(1, 1, 7), 1, "k", "v"), protocol.Write, 0, first.Version)
		},
	}, {
		name: "31: a write is taken for committed because a newer one of its key is",
		run: func(s *stage) {
			older, newer := s.write(0, 1, "v"), s.write(1, 1, "w")
			s.acknowledge(newer, 0, 1)
			s.commit(newer, 2)
			s.read("the newer one", reply(newer, 1), true)
			s.read("the older one, held by replica 0 alone", reply(older, 0), false)
			s.retry("of the older one", writeRequest(session(0), 1, "k", "v"), protocol.Write, 0, older.Version)
		},
	}, {
		name: "38: a timer drops a pending write",
		run: func(s *stage) {
			lost := s.write(0, 1, "v")
			s.tick(10 * testTTL)
			out, _ := s.give(protocol.Message{Type: protocol.OpenRequest, Request: 2 * testSlots}, client(1))
			if out.Status == protocol.StatusOK {
				m := writeRequest(out.Session, 1, "k", "w")
				s.give(m, client(1))
			}
			s.retry("of its writer", writeRequest(session(0), 1, "k", "v"), protocol.Write, 0, lost.Version)
			s.read("a late copy reached replica 0", reply(lost, 0), false)
		},
	}, {
		name: "14: a session's next write takes the place of a pending one",
		run: func(s *stage) {
			first := s.write(0, 1, "v")
			s.retry("the next", writeRequest(session(0), 2, "k", "w"), protocol.WriteResponse, protocol.StatusBusy, protocol.Version{})
			s.read("held by replica 0 alone", reply(first, 0), false)
		},
	}}
}

func hazardsOfMembership() []hazard {
	return []hazard{{
		name: "18: a reply is released in the name of an earlier epoch",
		run: func(s *stage) {
			m := reply(protocol.Message{}, 0)
			s.read("of this epoch", m, true)
			m.Epoch = 1
			s.read("of an earlier epoch", m, false)
		},
	}, {
		name: "19: a late acknowledgement of an earlier epoch's version counts",
		run: func(s *stage) {
			w := s.write(0, 1, "v")
			late := w
			late.Version.Epoch = 1
			s.acknowledge(late, 0, 1, 2)
			s.acknowledge(w, 0, 1)
			s.commit(w, 2)
		},
	}, {
		name: "20: a retry waits for a member that was removed",
		run: func(s *stage) {
			w := s.write(0, 1, "v")
			s.acknowledge(w, 0, 1)
			s.set("members", 0b0011)
			s.retry("after the shrink", writeRequest(session(0), 1, "k", "v"), protocol.WriteResponse, protocol.StatusOK, w.Version)
		},
	}, {
		name: "20: the gate waits for a member that was removed",
		run: func(s *stage) {
			w := s.write(0, 1, "v")
			s.acknowledge(w, 0, 1)
			s.read("before the shrink", reply(w, 0), false)
			s.set("members", 0b0011)
			s.read("after the shrink", reply(w, 0), true)
			s.retry("of what was released", writeRequest(session(0), 1, "k", "v"), protocol.WriteResponse, protocol.StatusOK, w.Version)
		},
	}, {
		name: "20: a write commits with no members",
		run: func(s *stage) {
			w := s.write(0, 1, "v")
			s.set("members", 0)
			s.retry("with nobody left", writeRequest(session(0), 1, "k", "v"), protocol.WriteResponse, protocol.StatusBusy, protocol.Version{})
			s.set("members", 0b0111)
			s.set("serving", 0b0111)
			s.read("with all back", reply(w, 0), false)
		},
	}, {
		name: "21: an acknowledgement of the index's former replica counts",
		run: func(s *stage) {
			w := s.write(0, 1, "v")
			s.acknowledge(w, 0, 1)
			former := ackOf(w, 2)
			former.Replica -= protocol.MaxMembers
			if out, _ := s.give(former, replica(2).Address); out.Type != 0 {
				s.complain("the acknowledgement of an earlier membership is answered with %v", out.Status)
			}
			s.commit(w, 2)
		},
	}, {
		name: "22: a member that has not caught up serves",
		run: func(s *stage) {
			s.set("members", 0b1111)
			s.read("of a member that joins", reply(protocol.Message{}, 3), false)
			for request := range uint64(8) {
				m := readRequest(request+1, "k")
				if out, _ := s.give(m, client(0)); out.Type == protocol.Read && out.Replica == replica(3).ID {
					s.complain("read %d is sent to a member that joins", request+1)
				}
			}
		},
	}, {
		name: "22: a member that joins is asked, and serves when it has answered",
		run: func(s *stage) {
			s.set("now", 10)
			w := s.write(0, 1, "v")
			s.acknowledge(w, 0, 1)
			s.commit(w, 2)
			s.set("members", 0b1111)
			s.set("now", testLease+20)
			for i := range 3 {
				m := reply(w, i)
				m.Sent = testLease + 10
				out, _ := s.give(m, replica(i).Address)
				if out.Type == protocol.Read && out.Replica == replica(3).ID {
					s.complain("the read that replica %d has answered goes to one that joins", i)
				}
			}
		},
	}, {
		name: "29: a value is released though a member is silent",
		run: func(s *stage) {
			s.read("in time", reply(protocol.Message{}, 0), true)
			s.set("now", testLease+1)
			s.read("when the lease is over", reply(protocol.Message{}, 0), false)
		},
	}, {
		name: "29: that the lease held counts for reads sent later",
		run: func(s *stage) {
			s.set("now", 100)
			m := reply(protocol.Message{}, 0)
			m.Sent = 100
			s.read("in time", m, true)
			s.set("now", testLease+1)
			s.read("sent when the clock was looked at, and no earlier", m, false)
			m.Sent = 99
			s.read("sent before the clock was looked at", m, true)
		},
	}, {
		name: "29: to look at the clock counts, whatever it says",
		run: func(s *stage) {
			s.set("now", testLease+1)
			m := reply(protocol.Message{}, 0)
			m.Sent = testLease
			s.read("when the lease is over", m, false)
			s.read("the same once more", m, false)
		},
	}, {
		name: "29: an answer renews the lease from when it comes",
		run: func(s *stage) {
			s.set("now", 10*testLease)
			for i := range 3 {
				late := reply(protocol.Message{}, i)
				late.Sent = 8 * testLease
				s.read("an answer that was long on its way", late, false)
			}
			for i := range 3 {
				prompt := reply(protocol.Message{}, i)
				prompt.Sent = 10*testLease - 1
				s.read("a prompt answer", prompt, i == 2)
			}
		},
	}, {
		name: "33: a request is handled before the epoch is open",
		run: func(s *stage) {
			s.set("epoch", 0)
			if out, o := s.give(protocol.Message{Type: protocol.OpenRequest, Request: 5}, client(0)); out.Type != 0 || o.Reason != protocol.Closed {
				s.complain("an open request becomes a %v (%v)", out.Type, o.Reason)
			}
		},
	}, {
		name: "37: a write waits for those who were members when it was sequenced",
		run: func(s *stage) {
			w := s.write(0, 1, "v")
			s.acknowledge(w, 0, 1)
			s.set("members", 0b1111)
			s.acknowledge(w, 2)
			s.read("held by three of four", reply(w, 0), false)
			s.commit(w, 3)
		},
	}, {
		name: "a write is taken that too few members would hold",
		run: func(s *stage) {
			w := s.write(0, 1, "v")
			s.set("minimum", 3)
			s.set("members", 0b0011)
			s.retry("a new write", writeRequest(session(1), 1, "k", "w"), protocol.WriteResponse, protocol.StatusTooFew, protocol.Version{})
			s.acknowledge(w, 0)
			s.commit(w, 1) // What was sequenced before goes on.
		},
	}}
}
