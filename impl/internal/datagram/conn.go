// SPDX-License-Identifier: Apache-2.0

package datagram

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// Conn reads and writes batches of datagrams. Any number of goroutines may use
// it at once, each with batches of its own.
type Conn struct {
	packets net.PacketConn
	// raw is set if the socket takes many datagrams with one system call.
	raw syscall.RawConn
	// connected: the socket has one peer, and refuses to be told where to send.
	connected bool
	// noTrains: the kernel cuts none here.
	noTrains atomic.Bool
}

// NewConn returns a Conn on a socket, which stays the caller's to close. UDP
// sockets of IPv4 are fast; any other net.PacketConn works.
func NewConn(packets net.PacketConn) *Conn {
	c := &Conn{packets: packets}
	if udp, ok := packets.(*net.UDPConn); ok {
		c.connected = udp.RemoteAddr() != nil
		if raw, err := udp.SyscallConn(); err == nil && vectored(raw) {
			c.raw = raw
		}
	}
	return c
}

// Read waits for datagrams and replaces the batch with those that are there, at
// least one. It returns an error only if none will ever come: net.ErrClosed, or
// os.ErrDeadlineExceeded once the socket's read deadline has passed.
func (c *Conn) Read(b *Batch) error {
	for {
		err := c.read(b)
		if !isRefusal(err) {
			return err
		}
	}
}

func (c *Conn) read(b *Batch) error {
	if c.raw != nil {
		return c.readVector(b)
	}
	b.n = 0
	n, from, err := c.packets.ReadFrom(b.buffers[0][:bufferSize])
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	b.received(0, n, addrPort(from))
	b.n = 1
	return nil
}

// Write sends the batch, and returns how many datagrams were sent and why the
// first of the others was not. Each is tried once: to its receiver, one that
// could not be sent is a datagram lost on the way.
func (c *Conn) Write(b *Batch) (sent int, err error) {
	if c.raw != nil {
		return c.writeVector(b)
	}
	for i := range b.n {
		if failure := c.writeOne(b, i); failure == nil {
			sent++
		} else if err == nil {
			err = fmt.Errorf("send to %v: %w", b.addrs[i], failure)
		}
	}
	return sent, err
}

func (c *Conn) writeOne(b *Batch, i int) error {
	if c.connected {
		_, err := c.packets.(*net.UDPConn).Write(b.buffers[i])
		return err
	}
	_, err := c.packets.WriteTo(b.buffers[i], net.UDPAddrFromAddrPort(b.addrs[i]))
	return err
}

// addrPort returns the zero address for one that is not UDP's.
func addrPort(a net.Addr) netip.AddrPort {
	udp, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := udp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// isRefusal says whether an error only reports what became of a datagram sent
// earlier, as connected sockets do.
func isRefusal(err error) bool {
	for _, refusal := range []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}
