// SPDX-License-Identifier: Apache-2.0

package protocol

import "testing"

func response(t MessageType, s Status, request uint64, session SessionID) Message {
	return Message{Type: t, Status: s, Request: request, Session: session}
}

func TestFirstWriteOpensTheSession(t *testing.T) {
	var s Session
	m := s.InvokeWrite(1, 77, OpPut, []byte("k"), []byte("v"))
	if m.Type != OpenRequest || m.Request != 77 {
		t.Fatalf("sent %+v", m)
	}
	if again := s.Retry(78); again.Request != 77 {
		t.Fatal("an unanswered open must keep its nonce, or it opens two sessions")
	}
	if _, send := s.HandleOpenResponse(response(OpenResponse, StatusOK, 76, 5)); send {
		t.Fatal("took the answer to another open")
	}
	m, send := s.HandleOpenResponse(response(OpenResponse, StatusOK, 77, 5))
	if !send || m.Type != WriteRequest || m.Session != 5 || m.Request != 1 {
		t.Fatalf("sent %+v", m)
	}
	if _, send := s.HandleOpenResponse(response(OpenResponse, StatusOK, 77, 6)); send || s.ID != 5 {
		t.Fatal("a duplicate of the answer opened the session again")
	}
	if r := s.HandleWriteResponse(response(WriteResponse, StatusOK, 1, 5)); r != Done {
		t.Fatalf("the write is %v", r)
	}
	if r := s.HandleWriteResponse(response(WriteResponse, StatusOK, 1, 5)); r != Waiting {
		t.Fatalf("a duplicate of the answer says that a write is %v, and none is open", r)
	}
	if m := s.InvokeWrite(2, 79, OpDelete, []byte("k"), nil); m.Type != WriteRequest {
		t.Fatalf("the second write sent %+v", m)
	}
}

func TestWriteThatWasNeverSentDidNotHappen(t *testing.T) {
	var s Session
	s.InvokeWrite(1, 77, OpPut, []byte("k"), []byte("v"))
	if _, send := s.HandleOpenResponse(response(OpenResponse, StatusBusy, 77, 0)); send {
		t.Fatal("BUSY opened the session")
	}
	if m := s.Retry(78); m.Type != OpenRequest || m.Request != 78 {
		t.Fatalf("after BUSY the open is tried with %+v", m)
	}
	if r := s.Abandon(); r != DidNotHappen || s.Closed {
		t.Fatalf("%v, closed %v", r, s.Closed)
	}
}

func TestWriteThatWasSentIsUnknownUntilAnswered(t *testing.T) {
	for _, c := range []struct {
		status Status
		want   Result
		closed bool
	}{{StatusOK, Done, false}, {StatusBusy, Waiting, false}, {StatusExpired, Unknown, true}, {StatusRefused, Unknown, true}} {
		s := Session{ID: 5}
		s.InvokeWrite(3, 0, OpPut, []byte("k"), []byte("v"))
		if r := s.HandleWriteResponse(response(WriteResponse, c.status, 2, 5)); r != Waiting {
			t.Errorf("%v to an earlier request: %v", c.status, r)
		}
		if r := s.HandleWriteResponse(response(WriteResponse, c.status, 3, 4)); r != Waiting {
			t.Errorf("%v to another session: %v", c.status, r)
		}
		if r := s.HandleWriteResponse(response(WriteResponse, c.status, 3, 5)); r != c.want || s.Closed != c.closed {
			t.Errorf("%v: %v, closed %v", c.status, r, s.Closed)
		}
	}
	s := Session{ID: 5}
	s.InvokeWrite(1, 0, OpPut, []byte("k"), []byte("v"))
	if r := s.Abandon(); r != Unknown || !s.Closed {
		t.Errorf("abandoned: %v, closed %v", r, s.Closed)
	}
	// BUSY was said to one copy of the request; another may have been sequenced.
	s = Session{ID: 5}
	s.InvokeWrite(1, 0, OpPut, []byte("k"), []byte("v"))
	s.HandleWriteResponse(response(WriteResponse, StatusBusy, 1, 5))
	if r := s.Abandon(); r != Unknown || !s.Closed {
		t.Errorf("abandoned after BUSY: %v, closed %v", r, s.Closed)
	}
}

func TestReadTakesOnlyItsOwnUndamagedAnswer(t *testing.T) {
	var s Session
	m := s.InvokeRead(9, []byte("k"))
	if m.Type != ReadRequest || m.Session != 0 {
		t.Fatalf("sent %+v", m)
	}
	good := Message{Type: ReadResponse, Status: StatusOK, Op: OpPut, Request: 9, Key: []byte("k"), Value: []byte("v"),
		Digest: Digest([]byte("k"), []byte("v"))}
	for what, change := range map[string]func(*Message){
		"another request": func(m *Message) { m.Request = 8 },
		"another key":     func(m *Message) { m.Key = []byte("l") },
		"a damaged value": func(m *Message) { m.Value = []byte("w") },
		"BUSY":            func(m *Message) { m.Status = StatusBusy },
	} {
		bad := good
		change(&bad)
		if s.HandleReadResponse(bad) {
			t.Fatalf("took %s for the answer", what)
		}
	}
	if again := s.Retry(0); again.Attempt != 1 || again.Request != 9 {
		t.Fatalf("retried as %+v", again)
	}
	if !s.HandleReadResponse(good) || s.HandleReadResponse(good) {
		t.Fatal("the answer counts once")
	}
	s.InvokeRead(10, []byte("k"))
	if r := s.Abandon(); r != DidNotHappen || s.Closed {
		t.Errorf("an abandoned read: %v, closed %v", r, s.Closed)
	}
}
