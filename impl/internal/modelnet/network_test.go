// SPDX-License-Identifier: Apache-2.0

package modelnet

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"dalio/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// carry sends numbered datagrams and returns what arrived, in order, with the
// times it took.
func carry(t *testing.T, seed uint64, f Faults, count int) (arrived []string, took []time.Duration, tally Tally) {
	var mu sync.Mutex
	synctest.Test(t, func(t *testing.T) {
		n := New(seed, f)
		start := time.Now()
		err := n.Handle(at(2), func(payload []byte, from netip.AddrPort) bool {
			if from != at(1) {
				t.Errorf("a datagram from %v", from)
			}
			mu.Lock()
			defer mu.Unlock()
			arrived, took = append(arrived, string(payload)), append(took, time.Since(start))
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range count {
			n.Send(fmt.Append(nil, i), at(1), at(2))
		}
		time.Sleep(time.Minute)
		tally = n.Tally()
	})
	return arrived, took, tally
}

func TestFaultsAreAsAskedFor(t *testing.T) {
	const count = 20000
	f := Faults{Loss: 0.1, Duplicate: 0.2, MinDelay: time.Millisecond, MaxDelay: 5 * time.Millisecond}
	arrived, took, tally := carry(t, 1, f, count)
	near := func(what string, got int, want float64) {
		if math.Abs(float64(got)-want) > 6*math.Sqrt(want) {
			t.Errorf("%s: %d, want about %.0f", what, got, want)
		}
	}
	near("lost", tally.Lost, 0.1*count)
	near("duplicated", tally.Duplicated, 0.9*0.2*count)
	if tally.Sent != count || len(arrived) != count-tally.Lost+tally.Duplicated {
		t.Errorf("%d arrived, tally %+v", len(arrived), tally)
	}
	if shortest, longest := slices.Min(took), slices.Max(took); shortest < f.MinDelay || longest > f.MaxDelay || longest-shortest < 3*time.Millisecond {
		t.Errorf("delays from %v to %v", shortest, longest)
	}
	if slices.IsSorted(arrived) {
		t.Error("nothing was reordered")
	}
}

func TestSeedRepeatsFaults(t *testing.T) {
	f := Faults{Loss: 0.3, Duplicate: 0.3, MaxDelay: time.Second}
	first, _, _ := carry(t, 7, f, 500)
	second, _, _ := carry(t, 7, f, 500)
	other, _, _ := carry(t, 8, f, 500)
	slices.Sort(first) // Datagrams due at the same moment have no order.
	slices.Sort(second)
	slices.Sort(other)
	if !slices.Equal(first, second) {
		t.Error("the same seed had other faults")
	}
	if slices.Equal(first, other) {
		t.Error("another seed had the same faults")
	}
}

func TestSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1, Faults{})
		conn, err := n.Listen(at(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Listen(at(1)); err == nil {
			t.Error("an address was given twice")
		}
		start, buffer := time.Now(), make([]byte, 10)
		_ = conn.SetReadDeadline(start.Add(time.Second))
		if _, _, err := conn.ReadFrom(buffer); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("read until a deadline: %v after %v", err, time.Since(start))
		}
		_ = conn.SetReadDeadline(time.Time{})
		if _, err := conn.WriteTo([]byte("x"), conn.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if size, from, err := conn.ReadFrom(buffer); size != 1 || err != nil || from.String() != at(1).String() {
			t.Errorf("read %d bytes from %v, %v", size, from, err)
		}
		for range queueSize + 3 {
			n.Send(nil, at(2), at(1))
		}
		if tally := n.Tally(); tally.Overflowed != 3 {
			t.Errorf("%d overflowed, want 3", tally.Overflowed)
		}
		conn.Close()
		if _, _, err := conn.ReadFrom(buffer); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read of a closed socket: %v", err)
		}
		if _, err := conn.WriteTo(nil, conn.LocalAddr()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write to a closed socket: %v", err)
		}
	})
}

func TestCoordinatorSpeaksForTheModel(t *testing.T) {
	c := NewCoordinator(at(1), 8, at(2), at(3))
	from := at(9)
	send := func(m protocol.Message) []Datagram { return c.Handle(m.Append(nil), from) }
	var opened, write protocol.Message
	out := send(protocol.Message{Type: protocol.OpenRequest, Request: 5})
	if len(out) != 1 || out[0].To != from || opened.Unmarshal(out[0].Payload) != nil || opened.Status != protocol.StatusOK {
		t.Fatalf("open: %+v", out)
	}
	key := []byte("k")
	out = send(protocol.Message{Type: protocol.WriteRequest, Op: protocol.OpDelete, Session: opened.Session, Request: 1, Key: key,
		KeyHash: protocol.KeyHash(key), Digest: protocol.Digest(key, nil)})
	if len(out) != 2 || out[0].To != at(2) || out[1].To != at(3) {
		t.Fatalf("write: %+v", out)
	}
	if write.Unmarshal(out[1].Payload) != nil || write.Replica != 17 || write.Version.Seq != 1 {
		t.Errorf("the second copy: %+v", write)
	}
	if out := c.Handle([]byte("garbage"), from); len(out) != 0 {
		t.Errorf("garbage: %+v", out)
	}
	send(protocol.Message{Type: protocol.WriteAck, Epoch: 9})
	if drops, actions := c.Counts(); drops["future_epoch"] != 1 || actions["HandleOpenRequest"] != 1 || actions["HandleWriteRequest"] != 1 {
		t.Errorf("drops %v, actions %v", drops, actions)
	}
}
