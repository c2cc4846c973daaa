// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"bytes"
	"testing"

	"dalio/protocol"
)

// FuzzRecord reads any bytes as what is on a disk under a key and for a session: none
// may make it panic, and what is accepted is written as the same bytes.
func FuzzRecord(f *testing.F) {
	f.Add(encodeRecord(protocol.Record{Version: protocol.Version{Epoch: 2, Seq: 9}, Writer: 7, Request: 3, Digest: 5, Op: protocol.OpPut, Value: []byte("v")}, 17))
	f.Add(encodeSession(protocol.SessionRecord{Session: 7, Request: 3, Version: protocol.Version{Epoch: 2, Seq: 9}, Op: protocol.OpDelete, KeyHash: 1, Digest: 2}))
	f.Add(make([]byte, recordHeader-1))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, member, err := decodeRecord(b)
		if (err == nil) != (len(b) >= recordHeader) {
			t.Fatalf("a record of %d bytes: %v", len(b), err)
		}
		if err == nil && !bytes.Equal(encodeRecord(r, member), b) {
			t.Errorf("%x is read as %+v of %d, which is written as %x", b, r, member, encodeRecord(r, member))
		}
		s, err := decodeSession(b)
		if (err == nil) != (len(b) == sessionHeader) {
			t.Fatalf("a session record of %d bytes: %v", len(b), err)
		}
		if err == nil && !bytes.Equal(encodeSession(s), b) {
			t.Errorf("%x is read as %+v, which is written as %x", b, s, encodeSession(s))
		}
	})
}
