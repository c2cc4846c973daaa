// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"net"
	"net/netip"

	"dalio/impl/internal/events"
	"dalio/protocol"
	"dalio/traces/event"
)

// The methods below tell what a lane does, before it sends anything because of that.
// Its lock is held.

func (l *lane) tell(e *event.Event) {
	e.Lane, e.Request = l.name, l.operation.response.Request
	l.client.options.Events.Record(e)
}

// tellSending tells of what sends m.
func (l *lane) tellSending(e *event.Event, m *protocol.Message) {
	e.Sends = m.Type.String()
	if m.Type == protocol.OpenRequest {
		e.Nonce = m.Request
	}
	l.tell(e)
}

// nameOf names a lane by the port of its client's socket.
func nameOf(conn net.PacketConn, index int) string {
	port := netip.MustParseAddrPort(conn.LocalAddr().String()).Port()
	return fmt.Sprintf("%d.%d", port, index)
}

// tellInvoked tells of a call and of the message that it has sent.
func (l *lane) tellInvoked(name string, op protocol.Op, m *protocol.Message) {
	if l.client.options.Events == nil {
		return
	}
	e := &event.Event{Event: name, Key: event.Hash(protocol.KeyHash(l.key)), Session: event.Session(l.session.ID)}
	if op != protocol.OpNone {
		e.Value = events.Value(op, protocol.Digest(l.key, l.value))
	}
	l.tellSending(e, m)
}

// tellSent tells of a message that is sent again.
func (l *lane) tellSent(m *protocol.Message) {
	if l.client.options.Events != nil {
		l.tellSending(&event.Event{Event: "Retry", Session: event.Session(m.Session)}, m)
	}
}

// tellAnswered tells of an answer that the call was waiting for.
func (l *lane) tellAnswered(m *protocol.Message) {
	if l.client.options.Events == nil {
		return
	}
	e := &event.Event{Event: "Handle" + m.Type.String(), Session: event.Session(m.Session), Status: m.Status.String()}
	switch m.Type {
	case protocol.OpenResponse:
		e.Nonce, e.Sends = m.Request, protocol.WriteRequest.String()
	case protocol.ReadResponse:
		e.Session, e.Value = 0, events.Value(m.Op, m.Digest)
	}
	l.tell(e)
}

// tellAbandoned tells that nobody waits for the call's answer any more.
func (l *lane) tellAbandoned() {
	if l.client.options.Events != nil {
		l.tell(&event.Event{Event: "Abandon"})
	}
}
