// SPDX-License-Identifier: Apache-2.0

package datagram

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"dalio/protocol"
)

// plain hides that a socket is one of the kernel's, so that the slow way is taken.
type plain struct{ net.PacketConn }

func listen(t *testing.T, network, address string) *net.UDPConn {
	t.Helper()
	at, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP(network, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func portOf(c net.PacketConn) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), c.LocalAddr().(*net.UDPAddr).AddrPort().Port())
}

func message(i int) *protocol.Message {
	return &protocol.Message{Type: protocol.Read, Request: uint64(i), Key: fmt.Appendf(nil, "key-%d", i)}
}

// TestEveryKindOfSocket sends batches between sockets of every kind and back.
func TestEveryKindOfSocket(t *testing.T) {
	kinds := map[string]func(t *testing.T) (*Conn, netip.AddrPort){
		"ipv4": func(t *testing.T) (*Conn, netip.AddrPort) {
			c := listen(t, "udp4", "127.0.0.1:0")
			return NewConn(c), portOf(c)
		},
		"dual": func(t *testing.T) (*Conn, netip.AddrPort) {
			c := listen(t, "udp", ":0")
			return NewConn(c), portOf(c)
		},
		"any": func(t *testing.T) (*Conn, netip.AddrPort) {
			c := listen(t, "udp4", "127.0.0.1:0")
			return NewConn(plain{c}), portOf(c)
		},
	}
	for from, openFrom := range kinds {
		for to, openTo := range kinds {
			t.Run(from+" to "+to, func(t *testing.T) {
				a, addressA := openFrom(t)
				b, addressB := openTo(t)
				exchange(t, a, b, addressB, addressA)
				exchange(t, b, a, addressA, addressB)
			})
		}
	}
}

func exchange(t *testing.T, from, to *Conn, at, sender netip.AddrPort) {
	t.Helper()
	const count = 20
	out, in := NewBatch(count), NewBatch(8)
	for i := range count {
		out.Add(message(i), at)
	}
	if !out.Full() {
		t.Error("a batch of 20 is not full with 20")
	}
	if sent, err := from.Write(out); sent != count || err != nil {
		t.Fatalf("sent %d, %v", sent, err)
	}
	for got := 0; got < count; {
		if err := to.Read(in); err != nil {
			t.Fatal(err)
		}
		for i := range in.Len() {
			var m protocol.Message
			if err := m.Unmarshal(in.Payload(i)); err != nil {
				t.Fatal(err)
			}
			if want := message(got); m.Request != want.Request || string(m.Key) != string(want.Key) || in.Address(i) != sender {
				t.Fatalf("got %+v from %v, want %+v from %v", m, in.Address(i), want, sender)
			}
			got++
		}
	}
}

// TestOneBatchServesBothWays receives into a batch, sends it, and receives again.
func TestOneBatchServesBothWays(t *testing.T) {
	a, b := listen(t, "udp4", "127.0.0.1:0"), listen(t, "udp4", "127.0.0.1:0")
	near, far, batch, out := NewConn(a), NewConn(b), NewBatch(8), NewBatch(8)
	for round := range 20 {
		out.Reset()
		for i := range round%5 + 1 {
			out.Add(message(round*10+i), portOf(b))
		}
		if _, err := near.Write(out); err != nil {
			t.Fatal(err)
		}
		if err := far.Read(batch); err != nil || batch.Len() != out.Len() {
			t.Fatalf("round %d: received %d of %d, %v", round, batch.Len(), out.Len(), err)
		}
		for i := range batch.Len() {
			if string(batch.Payload(i)) != string(out.Payload(i)) || batch.Address(i) != portOf(a) {
				t.Fatalf("round %d: datagram %d is %q from %v", round, i, batch.Payload(i), batch.Address(i))
			}
		}
		if round%3 == 0 {
			if sent, err := far.Write(batch); sent != out.Len() || err != nil {
				t.Fatalf("round %d: sent back %d, %v", round, sent, err)
			}
			if err := near.Read(batch); err != nil || batch.Len() != out.Len() || string(batch.Payload(0)) != string(out.Payload(0)) {
				t.Fatalf("round %d: came back as %d, %v", round, batch.Len(), err)
			}
		}
	}
}

func TestTooLongDatagramsAreReceivedEmpty(t *testing.T) {
	for name, wrap := range map[string]func(*net.UDPConn) net.PacketConn{
		"vector": func(c *net.UDPConn) net.PacketConn { return c },
		"plain":  func(c *net.UDPConn) net.PacketConn { return plain{c} },
	} {
		t.Run(name, func(t *testing.T) {
			to, from := listen(t, "udp4", "127.0.0.1:0"), listen(t, "udp4", "127.0.0.1:0")
			conn, in := NewConn(wrap(to)), NewBatch(1)
			for _, size := range []int{0, 1, MaxSize, MaxSize + 1, 9000} {
				if _, err := from.WriteToUDPAddrPort(make([]byte, size), portOf(to)); err != nil {
					t.Fatal(err)
				}
				if err := conn.Read(in); err != nil {
					t.Fatal(err)
				}
				want := size
				if size > MaxSize {
					want = 0
				}
				if in.Len() != 1 || len(in.Payload(0)) != want {
					t.Errorf("%d bytes came as %d", size, len(in.Payload(0)))
				}
			}
		})
	}
}

// TestRefusals: a connected socket tells that its peer was not there, and the
// next datagrams must not be lost with that news.
func TestRefusals(t *testing.T) {
	peer := listen(t, "udp4", "127.0.0.1:0")
	at := portOf(peer)
	udp, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	conn, out, in := NewConn(udp), NewBatch(4), NewBatch(4)
	peer.Close()
	out.Add(message(1), at)
	if _, err := conn.Write(out); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond) // The refusal is immediate on this machine; without it the test proves less.
	reopened := listen(t, "udp4", at.String())
	if sent, err := conn.Write(out); sent != 1 || err != nil {
		t.Errorf("after a refusal: sent %d, %v", sent, err)
	}
	if err := NewConn(reopened).Read(in); err != nil || in.Len() != 1 {
		t.Errorf("the datagram after the refusal: %d, %v", in.Len(), err)
	}
	reopened.Close()
	if _, err := conn.Write(out); err != nil {
		t.Fatal(err)
	}
	if err := udp.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Read(in); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a refusal ended the reading: %v", err)
	}
}

func TestReadEndsWithTheSocket(t *testing.T) {
	c := listen(t, "udp4", "127.0.0.1:0")
	time.AfterFunc(20*time.Millisecond, func() { c.Close() })
	if err := NewConn(c).Read(NewBatch(1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read of a closed socket: %v", err)
	}
	out := NewBatch(1)
	out.Add(message(1), portOf(c))
	if sent, err := NewConn(c).Write(out); sent != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("write to a closed socket: %d, %v", sent, err)
	}
}

// TestUnsendableDatagramsDoNotStopTheOthers: the first and third address of the
// batch can't be sent to.
func TestUnsendableDatagramsDoNotStopTheOthers(t *testing.T) {
	from, to := listen(t, "udp4", "127.0.0.1:0"), listen(t, "udp4", "127.0.0.1:0")
	bad := netip.MustParseAddrPort("0.0.0.1:0")
	out, in := NewBatch(4), NewBatch(4)
	for i, at := range []netip.AddrPort{bad, portOf(to), bad, portOf(to)} {
		out.Add(message(i), at)
	}
	if sent, err := NewConn(from).Write(out); sent != 2 || err == nil {
		t.Errorf("sent %d, %v", sent, err)
	}
	conn := NewConn(to)
	for got := 0; got < 2; got += in.Len() {
		if err := conn.Read(in); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReceiveBufferOverflowIsCounted(t *testing.T) {
	to, from := listen(t, "udp4", "127.0.0.1:0"), listen(t, "udp4", "127.0.0.1:0")
	granted, err := SetReceiveBuffer(to, 4096)
	if err != nil || granted < 4096 {
		t.Fatalf("granted %d, %v", granted, err)
	}
	if n, err := Overflows(to); n != 0 || err != nil {
		t.Fatalf("overflows before any: %d, %v", n, err)
	}
	for range 100 {
		if _, err := from.WriteToUDPAddrPort(make([]byte, 1000), portOf(to)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := Overflows(to); n < 50 || n >= 100 || err != nil {
		t.Errorf("overflows after 100 datagrams into 4 KiB: %d, %v", n, err)
	}
}
