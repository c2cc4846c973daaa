// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"dalio/protocol"
)

const maxMessage = 1472

// passing says whether an error of the socket is that of something sent before, and no
// reason to stop.
func passing(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EHOSTUNREACH)
}

// serve takes a system call for each datagram.
func (c *config) serve(conn *net.UDPConn) error {
	in, out := make([]byte, maxMessage), make([]byte, 0, maxMessage)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(in)
		if passing(err) {
			continue
		}
		if err != nil {
			return err
		}
		c.take(in[:n], address(from), func(m *protocol.Message, to protocol.Address) {
			out = m.Append(out[:0])
			// What can't be sent is lost, as on a network.
			_, _ = conn.WriteToUDPAddrPort(out, netip.AddrPortFrom(netip.AddrFrom4(to.IP), to.Port))
		})
	}
}

// outbox gathers what a batch makes. Its messages are used again.
type outbox struct {
	messages []ipv4.Message
	count    int
}

func (o *outbox) add(m *protocol.Message, to protocol.Address) {
	if o.count == len(o.messages) {
		o.messages = append(o.messages, ipv4.Message{Buffers: [][]byte{make([]byte, 0, maxMessage)},
			Addr: &net.UDPAddr{IP: make(net.IP, 4)}})
	}
	message := &o.messages[o.count]
	message.Buffers[0] = m.Append(message.Buffers[0][:0])
	a := message.Addr.(*net.UDPAddr)
	copy(a.IP, to.IP[:])
	a.Port = int(to.Port)
	o.count++
}

func (o *outbox) send(conn *ipv4.PacketConn) {
	for rest := o.messages[:o.count]; len(rest) > 0; {
		n, err := conn.WriteBatch(rest, 0)
		if err != nil {
			// What can't be sent is lost, as on a network.
			n = max(n, 1)
		}
		rest = rest[n:]
	}
	o.count = 0
}

// serveBatches takes a system call for as many datagrams as there are.
func (c *config) serveBatches(socket *net.UDPConn) error {
	conn := ipv4.NewPacketConn(socket)
	in := make([]ipv4.Message, c.batch)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, maxMessage)}
	}
	var out outbox
	for {
		n, err := conn.ReadBatch(in, 0)
		if passing(err) {
			continue
		}
		if err != nil {
			return err
		}
		for i := range in[:n] {
			from := in[i].Addr.(*net.UDPAddr)
			c.take(in[i].Buffers[0][:in[i].N], protocol.Address{IP: [4]byte(from.IP.To4()), Port: uint16(from.Port)}, out.add)
		}
		out.send(conn)
	}
}
