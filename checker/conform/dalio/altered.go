// SPDX-License-Identifier: Apache-2.0

package dalio

import (
	"slices"

	"dalio/checker/conform/edges"
	"dalio/protocol"
)

// Altered lists what the comparison must notice: the Go model with one rule
// changed. Each is to be found in the model and at the action named.
func Altered() []edges.Altered {
	coordinator := func(model, rule, action string, change func(c *protocol.Coordinator, m protocol.Message, from protocol.Address) protocol.Output) edges.Altered {
		return edges.Altered{Rule: rule, Model: model, Action: action, Apply: func(m edges.Machine) { m.(*Machine).Coordinator = change }}
	}
	return []edges.Altered{
		coordinator("gate", "the gate releases what is pending", "HandleReadReply",
			func(c *protocol.Coordinator, m protocol.Message, from protocol.Address) protocol.Output {
				if m.Type != protocol.ReadReply {
					return handle(c, m, from)
				}
				blind := *c
				blind.Sessions = slices.Clone(c.Sessions)
				for i := range blind.Sessions {
					blind.Sessions[i].Acks = committed
				}
				return handle(&blind, m, from)
			}),
		coordinator("gate", "one acknowledgement commits a write", "HandleWriteAck",
			func(c *protocol.Coordinator, m protocol.Message, from protocol.Address) protocol.Output {
				members := c.Members
				if m.Type == protocol.WriteAck {
					c.Members = 1 << m.Replica.Index()
				}
				out := handle(c, m, from)
				c.Members = members
				return out
			}),
		coordinator("writers", "a retry gets another version", "HandleWriteRequest",
			func(c *protocol.Coordinator, m protocol.Message, from protocol.Address) protocol.Output {
				if e := &c.Sessions[m.Session.Slot()]; m.Type == protocol.WriteRequest && e.Request == m.Request && !e.Pending() {
					e.Request--
				}
				return handle(c, m, from)
			}),
		coordinator("loss", "a retry goes to all members again", "HandleWriteRequest",
			func(c *protocol.Coordinator, m protocol.Message, from protocol.Address) protocol.Output {
				out := handle(c, m, from)
				if m.Type == protocol.WriteRequest && out.Targets != 0 {
					out.Targets = c.Members
				}
				return out
			}),
		{Rule: "a replica applies older writes too", Model: "overwrite", Action: "HandleWrite", Apply: func(m edges.Machine) {
			m.(*Machine).Replica = func(r *protocol.Replica, m protocol.Message) (protocol.Message, protocol.Refusal) {
				if m.Type == protocol.Write {
					clear(r.Store.(protocol.MemoryStore))
				}
				return r.Handle(m)
			}
		}},
		{Rule: "a client takes EXPIRED for the end of its write", Model: "slot", Action: "HandleWriteResponse", Apply: func(m edges.Machine) {
			m.(*Machine).Session = func(s *protocol.Session, m protocol.Message) protocol.Result {
				if m.Status == protocol.StatusExpired {
					s.Abandon()
					return protocol.DidNotHappen
				}
				return s.HandleWriteResponse(m)
			}
		}},
	}
}
