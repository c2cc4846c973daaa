// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"testing"
	"time"

	"dalio/protocol"
)

// FuzzAnswers throws datagrams at a client whose lanes wait for answers: none may
// make it panic, or settle a read with a value whose digest does not fit.
func FuzzAnswers(f *testing.F) {
	for _, m := range []protocol.Message{
		{Type: protocol.OpenResponse, Status: protocol.StatusOK, Session: 1},
		{Type: protocol.OpenResponse, Status: protocol.StatusBusy},
		{Type: protocol.WriteResponse, Status: protocol.StatusOK, Session: 1},
		{Type: protocol.WriteResponse, Status: protocol.StatusExpired},
		{Type: protocol.ReadResponse, Status: protocol.StatusOK, Op: protocol.OpPut, Key: []byte("k"), Value: []byte("v")},
		{Type: protocol.ReadResponse, Status: protocol.StatusBusy},
	} {
		f.Add(m.Append(nil), true)
	}
	c, err := Dial(context.Background(), "127.0.0.1:9", Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { c.Close() })
	f.Fuzz(func(t *testing.T, payload []byte, aimed bool) {
		for _, op := range []protocol.Op{protocol.OpNone, protocol.OpPut} {
			l := c.readers.take(time.Now())
			l.begin(&Request{Op: op, Key: "k", Value: make([]byte, op)})
			var m protocol.Message
			if aimed && m.Unmarshal(payload) == nil && len(m.Key) <= protocol.MaxKeySize && len(m.Key)+len(m.Value) <= protocol.MaxPayloadSize {
				m.Request = l.report().response.Request
				payload = m.Append(nil)
			}
			c.handle(payload, 0)
			if o := l.report(); op == protocol.OpNone && o.result == protocol.Done && m.Op != protocol.OpNone &&
				protocol.Digest(m.Key, m.Value) != m.Digest {
				t.Errorf("a damaged answer was taken: %+v", m)
			}
			c.readers.put(l)
		}
	})
}
