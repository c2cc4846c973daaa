// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"net/netip"
	"testing"

	"dalio/protocol"
)

// FuzzMessages throws datagrams at a replica: none may make it panic, and every
// one is either answered or counted as refused.
func FuzzMessages(f *testing.F) {
	key, value := []byte("k"), []byte("v")
	for _, m := range []protocol.Message{
		{Type: protocol.Read, Epoch: 1, Replica: 16, Key: key, KeyHash: protocol.KeyHash(key)},
		{Type: protocol.Write, Op: protocol.OpPut, Epoch: 1, Replica: 16, Version: protocol.Version{Epoch: 1, Seq: 1},
			Key: key, Value: value, KeyHash: protocol.KeyHash(key), Digest: protocol.Digest(key, value)},
		{Type: protocol.WriteRequest, Key: key},
		{Type: protocol.Probe, Epoch: 1, Replica: 16},
	} {
		f.Add(m.Append(nil), true)
	}
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, payload []byte, sealed bool) {
		w := newBenchWorker(t)
		var m protocol.Message
		if sealed && m.Unmarshal(payload) == nil && len(m.Key) <= protocol.MaxKeySize && len(m.Key)+len(m.Value) <= protocol.MaxPayloadSize {
			// With hash and digest that fit, more of the message is looked at.
			m.KeyHash, m.Digest = protocol.KeyHash(m.Key), protocol.Digest(m.Key, m.Value)
			payload = m.Append(nil)
		}
		if len(payload) > protocol.HeaderSize+protocol.MaxPayloadSize {
			return // Such a datagram is received as an empty one.
		}
		w.take(payload, netip.AddrPort{})
		w.handleAll()
		c := w.counters.snapshot()
		refused := c.Malformed
		for _, n := range c.Refused {
			refused += n
		}
		if answered := uint64(w.answers.Len()); answered+refused != 1 || answered != c.Reads+c.Writes+c.Probes {
			t.Errorf("%d answers, counters %+v", answered, c)
		}
	})
}
