// SPDX-License-Identifier: Apache-2.0

package dalio

import (
	"reflect"

	"dalio/checker/conform/edges"
	"dalio/protocol"
	"dalio/spec/tla"
)

// typeNames has the names of the message types, which are the same on both sides.
var typeNames = map[string]protocol.MessageType{}

func init() {
	for t := protocol.OpenRequest; t <= protocol.WriteAck; t++ {
		typeNames[t.String()] = t
	}
}

var statuses = map[tla.String]protocol.Status{}

func init() {
	for s := protocol.StatusOK; s <= protocol.StatusTooFew; s++ {
		statuses[tla.String(s.String())] = s
	}
}

// record makes a record of fields, which are given as names and values in turn.
func record(kind protocol.MessageType, fields ...any) tla.Record {
	all := []tla.Field{{Name: "type", Value: tla.String(kind.String())}}
	for i := 0; i < len(fields); i += 2 {
		all = append(all, tla.Field{Name: fields[i].(string), Value: fields[i+1].(tla.Value)})
	}
	return tla.NewRecord(all...).(tla.Record)
}

// message makes a message of the Go model of one of the specification. Peer is the
// address that it is from, or of a message to a client or replica, that it is to.
func (n *names) message(r tla.Record) (m protocol.Message, peer protocol.Address) {
	m.Type = typeNames[string(r.Get("type").(tla.String))]
	client := n.clientAddress(r.Get("client"))
	switch m.Type {
	case protocol.OpenRequest, protocol.OpenResponse:
		m.Request = n.nonceID(r.Get("nonce"))
	default:
		m.Request = uint64(r.Get("request").(tla.Int))
	}
	switch m.Type {
	case protocol.OpenRequest, protocol.OpenResponse, protocol.ReadRequest, protocol.ReadResponse,
		protocol.WriteRequest, protocol.WriteResponse:
		peer = client
	default:
		m.Epoch, m.Replica = protocol.Epoch(r.Get("epoch").(tla.Int)), n.replicaID(r.Get("replica"))
		m.Client, peer = client, replicaAddress(m.Replica.Index())
	}
	if key, ok := r.Get("key").(tla.String); ok {
		m.Key, m.KeyHash = []byte(key), protocol.KeyHash([]byte(key))
	}
	if status, ok := r.Get("status").(tla.String); ok {
		m.Status = statuses[status]
	}
	if session := r.Get("session"); session != nil {
		m.Session = n.sessionID(session)
	}
	switch m.Type {
	case protocol.ReadRequest:
		m.Attempt = n.attempt
	case protocol.WriteRequest:
		n.fill(&m, r)
	case protocol.Write:
		n.fill(&m, r)
		m.Writer, m.Version = m.Session, n.versionOf(r.Get("version"))
	case protocol.WriteAck:
		m.Writer, m.Version = m.Session, n.versionOf(r.Get("version"))
	case protocol.Read:
		m.Hops = n.hopsOf(r.Get("hops"))
	case protocol.ReadReply:
		n.fill(&m, r)
		m.Hops, m.Version, m.Writer = n.hopsOf(r.Get("hops")), n.versionOf(r.Get("version")), n.sessionID(r.Get("writer"))
		if m.Version == (protocol.Version{}) {
			m.Op, m.Digest = protocol.OpNone, 0
		}
	case protocol.ReadResponse:
		// Every model has one key, which the specification need not repeat.
		m.Key = []byte(n.keys[0])
		m.KeyHash = protocol.KeyHash(m.Key)
		n.fill(&m, r)
	}
	return m, peer
}

// fill gives a message the operation, value and digest of a record's value.
func (n *names) fill(m *protocol.Message, r tla.Record) {
	m.Op, m.Value = payload(r.Get("value"))
	m.Digest = protocol.Digest(m.Key, m.Value)
}

// told makes of a message of the Go model the one of the specification. To is the
// address that it goes to, if that is a client.
func (n *names) told(m protocol.Message, to protocol.Address) tla.Record {
	client := n.client(m.Client)
	var r tla.Record
	switch m.Type {
	case protocol.OpenRequest:
		r = record(m.Type, "client", n.client(to), "nonce", n.nonce(m.Request))
	case protocol.OpenResponse:
		r = record(m.Type, "client", n.client(to), "nonce", n.nonce(m.Request), "status", n.status(m), "session", n.session(m.Session))
	case protocol.ReadRequest:
		r = record(m.Type, "client", n.client(to), "request", n.request(m), "key", key(m))
	case protocol.ReadResponse:
		r = record(m.Type, "client", n.client(to), "request", n.request(m), "status", n.status(m), "value", valueOf(m.Op, m.Value))
	case protocol.WriteRequest:
		r = record(m.Type, "client", n.client(to), "session", n.session(m.Session), "request", n.request(m), "key", key(m), "value", valueOf(m.Op, m.Value))
	case protocol.WriteResponse:
		r = record(m.Type, "client", n.client(to), "session", n.session(m.Session), "request", n.request(m), "status", n.status(m))
	case protocol.Read:
		r = record(m.Type, "epoch", epoch(m), "replica", n.replica(m.Replica), "client", client, "request", n.request(m), "key", key(m), "hops", n.hops(m.Hops))
	case protocol.ReadReply:
		r = record(m.Type, "epoch", epoch(m), "replica", n.replica(m.Replica), "client", client, "request", n.request(m), "key", key(m), "hops", n.hops(m.Hops),
			"version", n.version(m.Version), "value", valueOf(m.Op, m.Value), "writer", n.session(m.Writer))
	case protocol.Write:
		r = record(m.Type, "epoch", epoch(m), "replica", n.replica(m.Replica), "client", client, "session", n.session(m.Session), "request", n.request(m),
			"version", n.version(m.Version), "key", key(m), "value", valueOf(m.Op, m.Value))
	case protocol.WriteAck:
		r = record(m.Type, "epoch", epoch(m), "replica", n.replica(m.Replica), "client", client, "session", n.session(m.Session), "request", n.request(m),
			"version", n.version(m.Version))
	default:
		edges.Fail("the specification has no %v", m.Type)
	}
	n.expectSame(m, r)
	return r
}

// expectSame fails if something that matters of a message was lost in the record.
func (n *names) expectSame(m protocol.Message, r tla.Record) {
	again, _ := n.message(r)
	if got, want := essence(m), essence(again); !reflect.DeepEqual(got, want) {
		edges.Fail("the code's message %+v is not all told by %v, which would be %+v", got, r, want)
	}
}

// essence is what matters of a message. See the package's comment.
func essence(m protocol.Message) protocol.Message {
	e := protocol.Message{Type: m.Type, Request: m.Request, Client: m.Client}
	switch m.Type {
	case protocol.OpenRequest, protocol.OpenResponse:
		e.Request >>= nonceShift
		e.Session, e.Status = m.Session, m.Status
	case protocol.ReadRequest:
		e.Key, e.KeyHash = m.Key, m.KeyHash
	case protocol.ReadResponse:
		e.Status, e.Value = m.Status, m.Value
		if m.Op == protocol.OpPut {
			e.Op, e.Digest = m.Op, m.Digest
		}
	case protocol.WriteRequest:
		e.Session, e.Op, e.Key, e.Value, e.Digest, e.KeyHash = m.Session, m.Op, m.Key, m.Value, m.Digest, m.KeyHash
	case protocol.WriteResponse:
		e.Session, e.Status = m.Session, m.Status
	case protocol.Read:
		e.Epoch, e.Replica, e.Key, e.KeyHash, e.Hops = m.Epoch, m.Replica, m.Key, m.KeyHash, hopsThatMatter(m.Hops)
	default:
		e = m
		e.Sent, e.Attempt, e.Hops = 0, 0, hopsThatMatter(m.Hops)
		if m.Type == protocol.WriteAck {
			e.Op, e.Digest, e.KeyHash = 0, 0, 0
		}
		if m.Type == protocol.ReadReply {
			e.Session = 0 // The reader's.
		}
	}
	if len(e.Value) == 0 {
		e.Value = nil
	}
	return e
}

func hopsThatMatter(hops uint8) uint8 {
	if hops < protocol.MaxHops {
		return 0
	}
	return hops
}

func key(m protocol.Message) tla.Value { return tla.String(m.Key) }

func epoch(m protocol.Message) tla.Value { return tla.Int(m.Epoch) }

func (n *names) request(m protocol.Message) tla.Value { return tla.Int(m.Request) }

func (n *names) status(m protocol.Message) tla.Value { return tla.String(m.Status.String()) }
