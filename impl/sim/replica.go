// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"dalio/impl/replica"
	"dalio/protocol"
)

// machine is the host of a replica: its server, and its socket.
type machine struct {
	w      *world
	node   *node
	server *replica.Server
	socket *socket
}

func newMachine(w *world, index int) *machine {
	return &machine{w: w, node: w.net.add(fmt.Sprint("r", index), 1, byte(index+1), protocol.Port)}
}

// start begins a process on the machine.
func (m *machine) start(id protocol.ReplicaID) error {
	m.socket = &socket{at: m.node.address}
	var err error
	m.server, err = replica.New(m.socket, replica.Options{ID: id, Epoch: 1, Batch: 1})
	m.node.receive = m.receive
	return err
}

// receive has the server answer a frame.
func (m *machine) receive(frame []byte) {
	from := sender(frame)
	m.socket.in = append(m.socket.in, frame[protocol.FrameOverhead:])
	m.socket.from = from
	if err := m.server.Work(); err != nil {
		m.w.fail("%s: %v", m.node.name, err)
		return
	}
	out := m.socket.out
	m.socket.out = nil
	for _, payload := range out {
		var answer protocol.Message
		if err := answer.Unmarshal(payload); err != nil {
			m.w.fail("%s answers %x: %v", m.node.name, payload, err)
			return
		}
		m.w.cover.replied(&answer)
		m.w.net.send(m.node, protocol.NewFrame(&answer, m.node.address, from))
	}
}

// socket is a net.PacketConn that has what was put in, and keeps what is sent.
type socket struct {
	at   protocol.Address
	from protocol.Address
	in   [][]byte
	out  [][]byte
}

func udp(a protocol.Address) *net.UDPAddr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(a.IP), a.Port))
}

func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	if len(s.in) == 0 {
		return 0, nil, os.ErrDeadlineExceeded
	}
	n := copy(b, s.in[0])
	s.in = s.in[1:]
	return n, udp(s.from), nil
}

func (s *socket) WriteTo(b []byte, _ net.Addr) (int, error) {
	s.out = append(s.out, append([]byte(nil), b...))
	return len(b), nil
}

func (s *socket) Close() error                     { return nil }
func (s *socket) LocalAddr() net.Addr              { return udp(s.at) }
func (s *socket) SetDeadline(time.Time) error      { return nil }
func (s *socket) SetReadDeadline(time.Time) error  { return nil }
func (s *socket) SetWriteDeadline(time.Time) error { return nil }
