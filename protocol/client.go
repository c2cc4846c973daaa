// SPDX-License-Identifier: Apache-2.0

package protocol

// Result is how an operation stands, as its client knows.
type Result uint8

// The results.
const (
	// Waiting: not settled; send again what Retry returns, or Abandon.
	Waiting Result = iota
	// Done: it took effect, or the read's answer is here.
	Done
	// DidNotHappen: it has not taken effect and never will.
	DidNotHappen
	// Unknown: it may have taken effect, or may yet.
	Unknown
)

func (r Result) String() string {
	return nameOf([]string{"waiting", "done", "did not happen", "unknown"}, int(r))
}

// Session is the client's side of a session: a lane with one request at a time.
// Its zero value is a session not yet opened; it opens itself at its first
// write. Reads need no place in the coordinator's table, so they never open it.
//
// Each method returns the message to send next, if any.
type Session struct {
	// ID is 0 until the coordinator has opened the session.
	ID SessionID
	// Closed: no more requests may be invoked, because the outcome of a write
	// is unknown or the coordinator no longer knows the session.
	Closed bool

	open    bool
	sent    bool
	nonce   uint64
	request Message
	// turnedAway: the coordinator had no slot, so the next open asks elsewhere.
	turnedAway bool
}

// InvokeRead starts a read. Request ids must be unique among all sessions of one
// client, and grow within a session. It panics when a request is open already.
func (s *Session) InvokeRead(request uint64, key []byte) Message {
	return s.invoke(Message{Type: ReadRequest, Request: request, Key: key})
}

// InvokeWrite starts a put or delete. The nonce is used if the session is not
// open yet; it must not be 0 and should be random.
func (s *Session) InvokeWrite(request, nonce uint64, op Op, key, value []byte) Message {
	s.nonce = nonce
	return s.invoke(Message{Type: WriteRequest, Request: request, Op: op, Key: key, Value: value,
		Digest: Digest(key, value)})
}

func (s *Session) invoke(m Message) Message {
	if s.open || s.Closed {
		panic("protocol: a session has one request at a time, and none after it is closed")
	}
	m.KeyHash = KeyHash(m.Key)
	s.open, s.sent, s.turnedAway, s.request = true, false, false, m
	return s.next()
}

// next returns what the open request needs to have sent: itself, or the opening
// of the session.
func (s *Session) next() Message {
	if s.request.Type == WriteRequest && s.ID == 0 {
		return Message{Type: OpenRequest, Request: s.nonce, Attempt: s.request.Attempt}
	}
	s.sent = true
	s.request.Session = s.ID
	return s.request
}

// Retry returns what to send again when an answer is overdue. The nonce replaces
// the old one if the coordinator had no slot for that; an unanswered open keeps
// its nonce, so that it can't open two sessions.
func (s *Session) Retry(nonce uint64) Message {
	if s.request.Attempt < 255 {
		s.request.Attempt++
	}
	if s.turnedAway {
		s.nonce, s.turnedAway = nonce, false
	}
	return s.next()
}

// Abandon gives the open request up and says what is known of it. A session
// with an abandoned write is closed: its slot may stay taken by that write.
func (s *Session) Abandon() Result {
	s.open = false
	if s.request.Type == ReadRequest || !s.sent {
		return DidNotHappen
	}
	s.Closed = true
	return Unknown
}

// HandleOpenResponse takes the answer to an OpenRequest. If send is set the
// session is open now and the write is to be sent.
func (s *Session) HandleOpenResponse(m Message) (next Message, send bool) {
	if !s.open || s.ID != 0 || s.request.Type != WriteRequest || m.Request != s.nonce {
		return Message{}, false
	}
	if m.Status != StatusOK {
		s.turnedAway = true
		return Message{}, false
	}
	s.ID = m.Session
	return s.next(), true
}

// HandleWriteResponse takes the answer to a WriteRequest. BUSY leaves the write
// waiting: another copy of the request may be sequenced later.
func (s *Session) HandleWriteResponse(m Message) Result {
	if !s.open || s.request.Type != WriteRequest || m.Request != s.request.Request || m.Session != s.ID {
		return Waiting
	}
	switch m.Status {
	case StatusOK:
		s.open = false
		return Done
	case StatusExpired, StatusRefused:
		return s.Abandon()
	}
	return Waiting
}

// HandleReadResponse takes the answer to a ReadRequest. If done, m holds the
// value (OpPut) or says that the key is absent. A damaged answer is ignored.
func (s *Session) HandleReadResponse(m Message) (done bool) {
	if !s.open || s.request.Type != ReadRequest || m.Request != s.request.Request || m.Status != StatusOK {
		return false
	}
	if string(m.Key) != string(s.request.Key) || m.Op != OpNone && Digest(m.Key, m.Value) != m.Digest {
		return false
	}
	s.open = false
	return true
}
