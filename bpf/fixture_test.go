// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"testing"

	"dalio/protocol"
)

// The addresses of the tests: 10.0.0.1 is the coordinator, 10.0.0.16+i the
// replica with index i, 10.0.0.100+i a client.
var self = host(1, protocol.Port)

func host(n byte, port uint16) protocol.Address {
	return protocol.Address{IP: [4]byte{10, 0, 0, n}, Port: port, MAC: [6]byte{2, 0, 0, 0, 0, n}}
}

func replica(index int) protocol.Member {
	return protocol.Member{ID: protocol.ReplicaID(1<<4 | index), Address: host(byte(16+index), protocol.Port)}
}

func client(n int) protocol.Address { return host(byte(100+n), uint16(40000+n)) }

const (
	testSlots = 16
	testTTL   = 2
	// testLease is for a clock that stands still unless a test moves it.
	testLease = 1000
)

// load loads a data plane of the size that tests read back after each frame.
func load(t testing.TB, object string) *DataPlane {
	t.Helper()
	return loadFor(t, object, false)
}

// loadFor does so for one device or for several.
func loadFor(t testing.TB, object string, several bool) *DataPlane {
	t.Helper()
	return loadWith(t, Options{Lease: testLease, clockStands: 1, Object: object, SeveralDevices: several})
}

// loadWith does so with options, of which it fills in the tests' address and sizes.
func loadWith(t testing.TB, o Options) *DataPlane {
	t.Helper()
	o.Self, o.SessionTTL = self, testTTL
	if o.MaxSessions == 0 {
		o.MaxSessions = testSlots
	}
	d, err := Load(o)
	if err != nil {
		t.Fatalf("the tests of the data plane need root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON: %v", err)
	}
	t.Cleanup(func() {
		reportRuns(t, d)
		if err := d.Close(); err != nil {
			t.Errorf("close data plane: %v", err)
		}
	})
	return d
}

// shard returns the state of a coordinator with replicas 0 to n-1, all serving.
func shard(n int) *protocol.Coordinator {
	c := &protocol.Coordinator{
		Self: self, Epoch: 1, SessionTTL: testTTL, Lease: testLease,
		Members: 1<<n - 1, Serving: 1<<n - 1,
		Sessions: make([]protocol.SessionEntry, testSlots),
	}
	for i := range n {
		c.Known[i] = replica(i)
	}
	return c
}

func restore(t testing.TB, d *DataPlane, c *protocol.Coordinator) {
	t.Helper()
	if err := d.Restore(c); err != nil {
		t.Fatal(err)
	}
}

// mustDecode returns the message in a frame of the coordinator.
func mustDecode(t interface{ Fatalf(string, ...any) }, frame []byte) protocol.Message {
	var m protocol.Message
	if len(frame) < protocol.FrameOverhead {
		t.Fatalf("a frame of %d bytes holds no message", len(frame))
	}
	if err := m.Unmarshal(frame[protocol.FrameOverhead:]); err != nil {
		t.Fatalf("decode frame %x: %v", frame, err)
	}
	return m
}

func writeRequest(session protocol.SessionID, request uint64, key, value string) protocol.Message {
	k, v := []byte(key), []byte(value)
	return protocol.Message{Type: protocol.WriteRequest, Op: protocol.OpPut, Session: session, Request: request,
		Key: k, Value: v, KeyHash: protocol.KeyHash(k), Digest: protocol.Digest(k, v)}
}

func readRequest(request uint64, key string) protocol.Message {
	k := []byte(key)
	return protocol.Message{Type: protocol.ReadRequest, Request: request, Key: k, KeyHash: protocol.KeyHash(k)}
}
