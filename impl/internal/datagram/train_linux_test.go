// SPDX-License-Identifier: Apache-2.0

package datagram

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"dalio/protocol"
)

// TestTrains sends batches in which datagrams of one size follow one another, to one
// receiver or to two, and looks at how they leave and at what arrives.
func TestTrains(t *testing.T) {
	to, other := listen(t, "udp4", "127.0.0.1:0"), listen(t, "udp4", "127.0.0.1:0")
	const most = 3 * maxCars
	for _, receiver := range []*net.UDPConn{to, other} {
		if _, err := SetReceiveBuffer(receiver, 4<<20); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		sizes    []int // of keys
		to       func(i int) bool
		messages int
	}{
		"one train":            {sizes: repeat(8, maxCars), messages: 1},
		"two trains":           {sizes: repeat(8, maxCars+minCars), messages: 2},
		"a train, and two":     {sizes: repeat(8, maxCars+minCars-1), messages: minCars},
		"sizes change":         {sizes: append(repeat(8, 5), append(repeat(9, 5), 8, 9)...), messages: 4},
		"receivers take turns": {sizes: repeat(8, 10), to: func(i int) bool { return i%2 == 0 }, messages: 10},
		"two receivers":        {sizes: repeat(8, 10), to: func(i int) bool { return i < 5 }, messages: 2},
		"large":                {sizes: repeat(protocol.MaxKeySize, most), messages: 3},
	} {
		for _, cut := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, cut by the kernel: %v", name, cut), func(t *testing.T) {
				conn, out := NewConn(listen(t, "udp4", "127.0.0.1:0")), NewBatch(most)
				if !cut {
					refuseTrains(t, conn)
				}
				expected := map[netip.AddrPort][]string{}
				for i, size := range c.sizes {
					at := portOf(to)
					if c.to != nil && c.to(i) {
						at = portOf(other)
					}
					m := &protocol.Message{Type: protocol.Read, Request: uint64(i), Key: fmt.Appendf(nil, "%0*d", size, i)}
					out.Add(m, at)
					expected[at] = append(expected[at], string(m.Key))
				}
				if sent, err := conn.Write(out); sent != len(c.sizes) || err != nil {
					t.Fatalf("sent %d of %d, %v", sent, len(c.sizes), err)
				}
				if n := len(out.vector.starts) - 1; cut && n != c.messages {
					t.Errorf("they left in %d messages, want %d", n, c.messages)
				}
				for _, receiver := range []*Conn{NewConn(to), NewConn(other)} {
					expect(t, receiver, expected[portOf(receiver.packets)])
				}
			})
		}
	}
}

// refuseTrains has the kernel cut nothing, as it does not on sockets without checksums.
func refuseTrains(t *testing.T, c *Conn) {
	t.Helper()
	var failure error
	err := c.raw.Control(func(fd uintptr) {
		failure = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
	})
	if err := errors.Join(err, failure); err != nil {
		t.Fatal(err)
	}
}

// expect receives messages with these keys, in this order.
func expect(t *testing.T, c *Conn, keys []string) {
	t.Helper()
	in := NewBatch(8)
	for len(keys) > 0 {
		if err := c.Read(in); err != nil {
			t.Fatal(err)
		}
		for i := range in.Len() {
			var m protocol.Message
			if err := m.Unmarshal(in.Payload(i)); err != nil || string(m.Key) != keys[0] {
				t.Fatalf("got %q (%v), want %q", m.Key, err, keys[0])
			}
			keys = keys[1:]
		}
	}
}

func repeat(size, n int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}
