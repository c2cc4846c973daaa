// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"dalio/impl/client"
	"dalio/impl/fabric"
	"dalio/protocol"
)

// abandon has a client send a write once, and never again, while some of the
// replicas get nothing. It returns the session, by which a retry can be made.
func (l *sharedLab) abandon(key, value string, deaf ...int) *protocol.Session {
	l.Helper()
	socket, err := l.client.ListenUDP(0)
	if err != nil {
		l.Fatal(err)
	}
	defer socket.Close()
	session := &protocol.Session{}
	open := session.InvokeWrite(1, 77, protocol.OpPut, []byte(key), []byte(value))
	answer := l.exchange(socket, &open)
	write, send := session.HandleOpenResponse(answer)
	if !send {
		l.Fatalf("the session was not opened: %+v", answer)
	}
	l.lose(1, deaf...)
	l.send(socket, &write)
	l.await("the write to be pending", func() bool { return l.status(0).PendingCount == 1 })
	l.lose(0, deaf...)
	return session
}

// lose has frames to replicas be lost.
func (l *sharedLab) lose(p float64, replicas ...int) {
	l.Helper()
	for _, i := range replicas {
		if err := l.replicas[i].node.SetFaults(fabric.ToNode, fabric.Faults{Loss: p}); err != nil {
			l.Fatal(err)
		}
	}
}

func (l *sharedLab) send(socket *net.UDPConn, m *protocol.Message) {
	l.Helper()
	to := netip.AddrPortFrom(l.hosts[0].Addr, protocol.Port)
	if _, err := socket.WriteToUDPAddrPort(m.Append(nil), to); err != nil {
		l.Fatal(err)
	}
}

func (l *sharedLab) exchange(socket *net.UDPConn, m *protocol.Message) (answer protocol.Message) {
	l.Helper()
	l.send(socket, m)
	buffer := make([]byte, 2000)
	if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		l.Fatal(err)
	}
	n, _, err := socket.ReadFromUDPAddrPort(buffer)
	if err == nil {
		err = answer.Unmarshal(buffer[:n])
	}
	if err != nil {
		l.Fatal(err)
	}
	return answer
}

// TestAbandonedWriteIsFinished: readers of its key wait for it, and its client is
// gone.
func TestAbandonedWriteIsFinished(t *testing.T) {
	l := newSharedLab(t, 3)
	l.start(0)
	l.await("whole", l.whole(0, 3))
	l.abandon("k", "v", 2)
	l.await("nothing to be pending", func() bool { return l.status(0).PendingCount == 0 })
	if s := l.status(0); s.Epoch != 1 || s.Activities["commits"] != 1 {
		t.Errorf("epoch %d, %d commits: want it sent again, in the same epoch", s.Epoch, s.Activities["commits"])
	}
	l.expect("k", "v")
}

// TestWriteThatNobodyHolds can't be finished, and can't be forgotten: a new epoch
// settles that it has not happened yet, and its client may still ask for it.
func TestWriteThatNobodyHolds(t *testing.T) {
	l := newSharedLab(t, 3)
	l.start(0)
	l.await("whole", l.whole(0, 3))
	session := l.abandon("k", "v", 0, 1, 2)
	l.await("another epoch", func() bool { s := l.status(0); return s.Epoch == 2 && s.PendingCount == 0 })
	if _, err := l.dial().Get(t.Context(), "k"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("get of a write that nobody had: %v", err)
	}
	socket, err := l.client.ListenUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	retry := session.Retry(0)
	if answer := l.exchange(socket, &retry); answer.Status != protocol.StatusOK || answer.Version.Epoch != 2 {
		t.Errorf("the retry was answered %v with version %v", answer.Status, answer.Version)
	}
	l.expect("k", "v")
}

// TestTooFewMembers: with fewer than it must have, a shard takes no new writes, and
// says so.
func TestTooFewMembers(t *testing.T) {
	l := newSharedLab(t, 3)
	l.start(0, func(o *Options) { o.MinMembers = 3 })
	l.await("whole", l.whole(0, 3))
	l.put("k", "before")
	l.replicas[0].kill()
	l.await("two members", l.whole(0, 2))
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	r := l.dial().Do(ctx, client.Request{Op: protocol.OpPut, Key: "k", Value: []byte("after")})
	if !errors.Is(r.Err, client.ErrTooFew) {
		t.Errorf("put: %v", r.Err)
	}
	l.expect("k", "before")
	l.replicas[0].start(t)
	l.await("whole again", l.whole(0, 3))
	l.put("k", "later")
}
