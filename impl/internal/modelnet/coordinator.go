// SPDX-License-Identifier: Apache-2.0

package modelnet

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"

	"dalio/protocol"
)

// Datagram is a message on its way to somebody.
type Datagram struct {
	To      netip.AddrPort
	Payload []byte
}

// Coordinator runs the model of a coordinator on datagrams. It is safe for
// concurrent use.
type Coordinator struct {
	mu    sync.Mutex
	model *protocol.Coordinator
	drops map[string]int
	acts  map[string]int
}

// NewCoordinator returns a coordinator with replicas at the addresses given,
// which have the ids 16, 17 and so on, all of them serving, in epoch 1.
func NewCoordinator(self netip.AddrPort, sessions int, replicas ...netip.AddrPort) *Coordinator {
	m := &protocol.Coordinator{Self: address(self), Epoch: 1, SessionTTL: 60, Sessions: make([]protocol.SessionEntry, sessions)}
	for i, r := range replicas {
		m.Known[i] = protocol.Member{ID: protocol.ReplicaID(protocol.MaxMembers + i), Address: address(r)}
		m.Members |= 1 << i
	}
	m.Serving = m.Members
	return &Coordinator{model: m, drops: make(map[string]int), acts: make(map[string]int)}
}

// Update changes or reads the model between two messages.
func (c *Coordinator) Update(change func(*protocol.Coordinator)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c.model)
}

// Counts returns the messages dropped by reason, and those handled by action.
func (c *Coordinator) Counts() (drops, actions map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	drops, actions = make(map[string]int), make(map[string]int)
	for name, n := range c.drops {
		drops[name] = n
	}
	for name, n := range c.acts {
		actions[name] = n
	}
	return drops, actions
}

// Handle takes one datagram, puts it into a frame for the model, and returns the
// datagrams in the frames that the model sends.
func (c *Coordinator) Handle(payload []byte, from netip.AddrPort) []Datagram {
	var m protocol.Message
	if m.Unmarshal(payload) != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.model.HandleFrame(protocol.NewFrame(&m, address(from), c.model.Self))
	c.acts[out.Action]++
	switch out.Verdict {
	case protocol.Transmit:
		return []Datagram{unframe(out.Frame)}
	case protocol.Multicast:
		sent := make([]Datagram, 0, len(out.Clones))
		for _, frame := range out.Clones {
			sent = append(sent, unframe(frame))
		}
		return sent
	}
	c.drops[out.Reason.String()]++
	return nil
}

// Join attaches the coordinator to a network at its own address.
func (c *Coordinator) Join(n *Network) error {
	self := addrPort(c.model.Self.IP, c.model.Self.Port)
	return n.Handle(self, func(payload []byte, from netip.AddrPort) bool {
		for _, d := range c.Handle(payload, from) {
			n.Send(d.Payload, self, d.To)
		}
		return true
	})
}

// Serve answers on a real socket until that is closed.
func (c *Coordinator) Serve(conn *net.UDPConn) error {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, d := range c.Handle(buffer[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port())) {
			if _, err := conn.WriteToUDPAddrPort(d.Payload, d.To); err != nil && !errors.Is(err, net.ErrClosed) {
				return err
			}
		}
	}
}

// address gives the address a hardware address of its own, made from the IP.
func address(a netip.AddrPort) protocol.Address {
	ip := a.Addr().As4()
	return protocol.Address{IP: ip, Port: a.Port(), MAC: [6]byte{2, 0, ip[0], ip[1], ip[2], ip[3]}}
}

func addrPort(ip [4]byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(ip), port)
}

// unframe returns what is in a frame that the model made: IPv4 without options.
func unframe(frame []byte) Datagram {
	const destination, port = 14 + 16, 14 + 20 + 2
	return Datagram{addrPort([4]byte(frame[destination:]), binary.BigEndian.Uint16(frame[port:])), frame[protocol.FrameOverhead:]}
}
