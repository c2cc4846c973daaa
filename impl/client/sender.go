// SPDX-License-Identifier: Apache-2.0

package client

import (
	"net/netip"
	"sync"
	"time"

	"dalio/impl/internal/datagram"
	"dalio/protocol"
)

// sendBatch is how many messages leave with one system call at most.
const sendBatch = 64

// sender sends the messages of all lanes. Whoever flushes first sends for all:
// while it is in the system call, the others leave their messages and go on.
type sender struct {
	conn *datagram.Conn

	mu             sync.Mutex
	filling, spare *datagram.Batch
	sending        bool
	room           sync.Cond

	failedAt time.Time
	failure  error
}

func newSender(conn *datagram.Conn) *sender {
	s := &sender{conn: conn, filling: datagram.NewBatch(sendBatch), spare: datagram.NewBatch(sendBatch)}
	s.room.L = &s.mu
	return s
}

// enqueue encodes a message. A flush must follow, by whoever enqueued it.
func (s *sender) enqueue(m *protocol.Message, to netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.filling.Full() {
		if s.sending {
			s.room.Wait()
		} else {
			s.exchange()
		}
	}
	s.filling.Add(m, to)
}

// flush returns when what the caller enqueued is sent or left to another's flush.
func (s *sender) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.sending && s.filling.Len() > 0 {
		s.exchange()
	}
}

// exchange sends the filled batch. The lock is held when it is called and when it
// returns, but not while the batch is sent.
func (s *sender) exchange() {
	out := s.filling
	s.filling, s.spare, s.sending = s.spare, nil, true
	s.mu.Unlock()
	_, err := s.conn.Write(out)
	out.Reset()
	s.mu.Lock()
	s.spare, s.sending = out, false
	if err != nil {
		s.failedAt, s.failure = time.Now(), err
	}
	s.room.Broadcast()
}

// failedSince returns why the network stack turned a message down, if it has done
// so since then.
func (s *sender) failedSince(then time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil || s.failedAt.Before(then) {
		return nil
	}
	return s.failure
}
