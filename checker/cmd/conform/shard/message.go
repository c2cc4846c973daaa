// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"dalio/checker/conform/edges"
	"dalio/protocol"
	"dalio/spec/tla"
)

// kind returns the type of a message.
func kind(m tla.Value) string { return string(m.(tla.Record).Get("type").(tla.String)) }

// message makes a message of the code of one in the network.
func (n *names) message(r tla.Record) protocol.Message {
	m := protocol.Message{Session: n.sessionID(r.Get("session"))}
	m.Writer = m.Session
	if key, ok := r.Get("key").(tla.String); ok {
		m.Key, m.KeyHash = []byte(key), protocol.KeyHash([]byte(key))
		m.Op, m.Value = payload(r.Get("value"))
		m.Digest = protocol.Digest(m.Key, m.Value)
		m.Request = uint64(r.Get("request").(tla.Int))
	}
	switch kind(r) {
	case "WriteRequest":
		m.Type, m.Writer = protocol.WriteRequest, 0
		return m
	case "Write":
		m.Type = protocol.Write
	case "WriteAck":
		m.Type = protocol.WriteAck
	}
	m.Epoch, m.Replica, m.Version = epochOf(r.Get("epoch")), n.memberID(r.Get("replica")), versionOf(r.Get("version"))
	return m
}

// told makes of a message the one of the specification.
func (n *names) told(m protocol.Message, client tla.Value) tla.Value {
	switch m.Type {
	case protocol.WriteRequest:
		return fields("type", tla.String("WriteRequest"), "client", client, "session", n.session(m.Session), "request", tla.Int(m.Request),
			"key", tla.String(m.Key), "value", valueOf(m.Op, m.Value))
	case protocol.Write:
		if m.Digest != protocol.Digest(m.Key, m.Value) || m.KeyHash != protocol.KeyHash(m.Key) || m.Writer != m.Session || m.Version.Epoch != m.Epoch {
			edges.Fail("the write %+v contradicts itself", m)
		}
		return fields("type", tla.String("Write"), "replica", n.member(m.Replica), "epoch", tla.Int(m.Epoch), "version", version(m.Version),
			"session", n.session(m.Session), "request", tla.Int(m.Request), "key", tla.String(m.Key), "value", valueOf(m.Op, m.Value))
	case protocol.WriteAck:
		return fields("type", tla.String("WriteAck"), "replica", n.member(m.Replica), "epoch", tla.Int(m.Epoch),
			"session", n.session(m.Writer), "version", version(m.Version))
	}
	edges.Fail("the specification has no %v in its network", m.Type)
	return nil
}

// reply makes a read's reply of the code.
func (n *names) reply(r tla.Record, c *client) protocol.Message {
	m := protocol.Message{Type: protocol.ReadReply, Epoch: epochOf(r.Get("epoch")), Replica: n.memberID(r.Get("replica")),
		Client: n.clientAddress(c.name), Request: c.request, Key: []byte(c.call.Get("key").(tla.String)),
		Version: versionOf(r.Get("version")), Writer: n.sessionID(r.Get("writer")), Sent: n.sent(c.begun)}
	m.KeyHash = protocol.KeyHash(m.Key)
	if m.Version != (protocol.Version{}) {
		m.Op, m.Value = payload(r.Get("value"))
		m.Digest = protocol.Digest(m.Key, m.Value)
	}
	return m
}

func (n *names) tellReply(m protocol.Message) tla.Value {
	return fields("replica", n.member(m.Replica), "epoch", tla.Int(m.Epoch), "version", version(m.Version),
		"value", valueOf(m.Op, m.Value), "writer", n.session(m.Writer))
}
