// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"

	"dalio/protocol"
)

// generator makes messages that reach deep into the coordinator: mostly right
// ones, of what it has sent lately, and some that are wrong in one way.
type generator struct {
	rand  *rand.Rand
	model *protocol.Coordinator
	// writes are those lately multicast, sessions those opened.
	writes   []protocol.Message
	sessions []protocol.SessionID
}

const remembered = 12

// learn takes in a line that describe made of what the coordinator sent.
func (g *generator) learn(line string) {
	_, text, _ := strings.Cut(line, " ")
	payload, err := hex.DecodeString(text)
	var m protocol.Message
	if err != nil || m.Unmarshal(payload) != nil {
		return
	}
	switch m.Type {
	case protocol.Write:
		g.writes = append(g.writes, m)
		g.writes = g.writes[max(0, len(g.writes)-remembered):]
	case protocol.OpenResponse:
		if m.Session != 0 {
			g.sessions = append(g.sessions, m.Session)
			g.sessions = g.sessions[max(0, len(g.sessions)-remembered):]
		}
	}
}

// chance is true once in n times.
func (g *generator) chance(n int) bool { return g.rand.IntN(n) == 0 }

func (g *generator) client() protocol.Address { return loopback(byte(100+g.rand.IntN(3)), 9000) }

// next returns a payload and who sends it.
func (g *generator) next() ([]byte, protocol.Address) {
	m, from := g.message()
	payload := m.Append(nil)
	switch g.rand.IntN(30) {
	case 0:
		return payload[:g.rand.IntN(len(payload))], from
	case 1:
		payload[g.rand.IntN(8)] ^= byte(1 << g.rand.IntN(8))
	case 2:
		payload[g.rand.IntN(len(payload))] ^= byte(1 << g.rand.IntN(8))
	}
	return payload, from
}

func (g *generator) message() (protocol.Message, protocol.Address) {
	switch n := g.rand.IntN(20); {
	case n < 1 || len(g.sessions) == 0:
		return protocol.Message{Type: protocol.OpenRequest, Request: g.rand.Uint64N(24)}, g.client()
	case n < 6:
		return g.writeRequest(), g.client()
	case n < 8:
		m := g.keyed(protocol.ReadRequest)
		m.Session, m.Request, m.Attempt = protocol.SessionID(g.rand.Uint64N(9)), g.rand.Uint64N(9), uint8(g.rand.IntN(3))
		return m, g.client()
	case n < 14:
		return g.fromReplica(protocol.WriteAck)
	}
	return g.fromReplica(protocol.ReadReply)
}

func (g *generator) keyed(of protocol.MessageType) protocol.Message {
	key := []byte(fmt.Sprintf("key%d", g.rand.IntN(4)))
	return protocol.Message{Type: of, Key: key, KeyHash: protocol.KeyHash(key)}
}

func (g *generator) writeRequest() protocol.Message {
	m := g.keyed(protocol.WriteRequest)
	m.Op, m.Value = protocol.OpPut, []byte(fmt.Sprintf("value%d", g.rand.IntN(2)))
	if g.chance(4) {
		m.Op, m.Value = protocol.OpDelete, nil
	}
	m.Digest = protocol.Digest(m.Key, m.Value)
	m.Session = g.sessions[g.rand.IntN(len(g.sessions))]
	e := g.model.Sessions[m.Session.Slot()%len(g.model.Sessions)]
	m.Request = e.Request + 1
	switch g.rand.IntN(8) {
	case 0:
		m.Request = g.rand.Uint64N(m.Request + 1)
	case 1, 2, 3:
		// A retry of the last write, if it is one that is remembered.
		for _, w := range g.writes {
			if w.Session == m.Session && w.Request == e.Request {
				m.Request, m.Op, m.Key, m.Value, m.KeyHash, m.Digest = w.Request, w.Op, w.Key, w.Value, w.KeyHash, w.Digest
			}
		}
	case 4:
		m.Session += protocol.SessionID(g.rand.Uint64N(3) << 24)
	}
	return m
}

// fromReplica answers a write that was multicast lately, or a read of its key.
func (g *generator) fromReplica(of protocol.MessageType) (protocol.Message, protocol.Address) {
	i := g.rand.IntN(3)
	from := g.model.Known[i]
	m := g.keyed(of)
	if len(g.writes) > 0 {
		m = g.writes[g.rand.IntN(len(g.writes))]
		m.Type = of
	}
	m.Epoch, m.Replica = g.model.Epoch, from.ID
	if of == protocol.WriteAck {
		m.Key, m.Value = nil, nil
	} else {
		m.Hops = uint8(g.rand.IntN(protocol.MaxHops + 2))
		m.Client = g.client()
	}
	switch g.rand.IntN(24) {
	case 0:
		m.Epoch += protocol.Epoch(g.rand.IntN(3)) - 1
	case 1:
		m.Replica += protocol.ReplicaID(g.rand.IntN(20))
	case 2:
		m.Version.Seq += g.rand.Uint64N(5) - 2
	case 3:
		m.Version.Epoch += protocol.Epoch(g.rand.IntN(3)) - 1
	case 4:
		m.Version = protocol.Version{}
	case 5:
		m.Writer += protocol.SessionID(g.rand.Uint64N(2 * diffSlots))
	case 6:
		m.Client = protocol.Address{}
	case 7:
		m.Key = nil
	case 8:
		m.Op = protocol.Op(g.rand.IntN(4))
	}
	return m, from.Address
}
