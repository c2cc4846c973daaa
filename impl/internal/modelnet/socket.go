// SPDX-License-Identifier: Apache-2.0

package modelnet

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

type datagram struct {
	payload []byte
	from    netip.AddrPort
}

// socket is an endpoint of a Network as a net.PacketConn.
type socket struct {
	network *Network
	at      netip.AddrPort
	queue   chan datagram
	closed  chan struct{}
	once    sync.Once

	mu sync.Mutex
	// expired is closed when the read deadline has passed; timer will do that.
	expired chan struct{}
	timer   *time.Timer
}

func (s *socket) receive(payload []byte, from netip.AddrPort) bool {
	select {
	case s.queue <- datagram{payload, from}:
		return true
	default:
		return false
	}
}

func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	s.mu.Lock()
	expired := s.expired
	s.mu.Unlock()
	select {
	case <-s.closed:
		return 0, nil, net.ErrClosed
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	default:
	}
	select {
	case d := <-s.queue:
		return copy(b, d.payload), net.UDPAddrFromAddrPort(d.from), nil
	case <-s.closed:
		return 0, nil, net.ErrClosed
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

func (s *socket) WriteTo(b []byte, to net.Addr) (int, error) {
	select {
	case <-s.closed:
		return 0, net.ErrClosed
	default:
	}
	s.network.Send(b, s.at, to.(*net.UDPAddr).AddrPort())
	return len(b), nil
}

func (s *socket) Close() error {
	s.once.Do(func() {
		s.network.remove(s.at)
		close(s.closed)
		_ = s.SetReadDeadline(time.Time{})
	})
	return nil
}

func (s *socket) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(s.at) }

func (s *socket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// SetReadDeadline does not wake a reader whose deadline it puts off; the reader
// sees the old deadline pass, as if it had passed first.
func (s *socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	select {
	case <-s.expired:
		s.expired = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return nil
	}
	expired := s.expired
	if wait := time.Until(t); wait > 0 {
		s.timer = time.AfterFunc(wait, func() { close(expired) })
	} else {
		close(expired)
	}
	return nil
}

// SetWriteDeadline does nothing: writes never wait.
func (s *socket) SetWriteDeadline(time.Time) error { return nil }
