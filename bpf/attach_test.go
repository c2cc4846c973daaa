// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"dalio/bpf/internal/namespace"
	"dalio/protocol"
)

// TestMulticastOnTheWire sends retries for every set of up to five members over a
// veth pair and compares the copies that are captured with the model's, byte for
// byte and in order.
func TestMulticastOnTheWire(t *testing.T) {
	dp := load(t, "")
	w := newWire(t, 1500)
	w.join(t, dp)
	for members := 1; members <= 5; members++ {
		for targets := uint16(1); targets < 1<<members; targets++ {
			c, frame := retryTo(members, targets)
			restore(t, dp, c)
			want := copiesOf(c.HandleFrame(bytes.Clone(frame)), members)
			w.send(t, frame)
			expectFrames(t, w.receiveUntilAnswer(t), want)
		}
	}
	expectCounted(t, dp, "clones", "surplus", "multicasts")
	counts, err := dp.RunCounts()
	if err != nil || counts["coordinator"] == 0 || counts["clone"] == 0 {
		t.Errorf("kernel run counts on the wire: %v, %v", counts, err)
	}
}

// TestMulticastInBulk broadcasts 32 times in one go, so that the kernel's queue
// of 16 frames for the device is flushed in the midst of a multicast.
func TestMulticastInBulk(t *testing.T) {
	const broadcasts = 32
	dp := load(t, "")
	w := newWire(t, 1500)
	w.join(t, dp)
	for _, targets := range []uint16{0b11111, 0b10110} {
		c, frame := retryTo(5, targets)
		restore(t, dp, c)
		want := copiesOf(c.HandleFrame(bytes.Clone(frame)), 5)
		context := xdpContext{DataEnd: uint32(len(frame)), IngressIfindex: uint32(w.coordinator)}
		_, err := dp.objects.Coordinator.Run(&ebpf.RunOptions{Data: frame, Context: context, Repeat: broadcasts,
			Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES, BatchSize: broadcasts})
		if err != nil {
			t.Fatal(err)
		}
		got := w.receiveUntilAnswer(t)
		if len(got) != broadcasts*len(want) {
			t.Fatalf("%d copies came, want %d times %d", len(got), broadcasts, len(want))
		}
		for ; len(got) != 0; got = got[len(want):] {
			expectFrames(t, got[:len(want)], want)
		}
	}
}

// TestLastBulkOfSurplus broadcasts so that the kernel's last bulk of copies has
// none but surplus ones. All must come, although no other frame follows.
func TestLastBulkOfSurplus(t *testing.T) {
	const members, broadcasts = 5, 7 // 35 copies: two bulks of 16, and 3 more.
	dp := load(t, "")
	w := newWire(t, 1500)
	w.join(t, dp)
	c, frame := retryTo(members, 0b11)
	restore(t, dp, c)
	want := copiesOf(c.HandleFrame(bytes.Clone(frame)), members)
	context := xdpContext{DataEnd: uint32(len(frame)), IngressIfindex: uint32(w.coordinator)}
	_, err := dp.objects.Coordinator.Run(&ebpf.RunOptions{Data: frame, Context: context, Repeat: broadcasts,
		Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES, BatchSize: broadcasts})
	if err != nil {
		t.Fatal(err)
	}
	for range broadcasts {
		for i := range want {
			if got := w.receive(t); !bytes.Equal(got, want[i]) {
				t.Fatalf("copy %d\ngot  %x\nwant %x", i, got, want[i])
			}
		}
	}
}

// copiesOf returns what leaves by the only device when a frame is sent to some of
// the members: the surplus copies of a multicast repeat the first.
func copiesOf(o protocol.Outcome, members int) [][]byte {
	if o.Verdict == protocol.Transmit {
		return [][]byte{o.Frame}
	}
	copies := slices.Clone(o.Clones)
	for len(copies) < members {
		copies = append(copies, copies[0])
	}
	return copies
}

func expectFrames(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d frames came, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("frame %d of %d\ngot  %x\nwant %x", i, len(want), got[i], want[i])
		}
	}
}

func expectCounted(t *testing.T, dp *DataPlane, names ...string) {
	t.Helper()
	counters, err := dp.Counters()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if counters.Activities[name] == 0 {
			t.Errorf("no %s were counted", name)
		}
	}
}

// TestUnicastOnTheWire takes a session through open, write, acknowledgements and
// read, with real frames, and compares every answer with the model's.
func TestUnicastOnTheWire(t *testing.T) {
	dp := load(t, "")
	w := newWire(t, 1500)
	w.join(t, dp)
	c := shard(2)
	restore(t, dp, c)
	exchange := func(m protocol.Message, from protocol.Address) []protocol.Message {
		frame := protocol.NewFrame(&m, from, self)
		want := c.HandleFrame(bytes.Clone(frame))
		w.send(t, frame)
		got := w.receiveUntilAnswer(t)
		if want.Verdict == protocol.Transmit {
			expectFrames(t, got, [][]byte{want.Frame})
		} else {
			expectFrames(t, got, want.Clones)
		}
		var messages []protocol.Message
		for _, frame := range got {
			messages = append(messages, mustDecode(t, frame))
		}
		return messages
	}
	session := exchange(protocol.Message{Type: protocol.OpenRequest, Request: 5}, client(0))[0].Session
	writes := exchange(writeRequest(session, 1, "key", "value"), client(0))
	stores := [2]protocol.MemoryStore{{}, {}}
	answer := func(m protocol.Message) protocol.Message {
		i := m.Replica.Index()
		out, _ := (&protocol.Replica{ID: m.Replica, Epoch: 1, Store: stores[i]}).Handle(m)
		return out
	}
	exchange(answer(writes[0]), replica(0).Address)
	done := exchange(answer(writes[1]), replica(1).Address)
	if done[0].Status != protocol.StatusOK {
		t.Fatalf("write: %+v", done[0])
	}
	read := exchange(readRequest(2, "key"), client(1))[0]
	value := exchange(answer(read), replica(read.Replica.Index()).Address)[0]
	if string(value.Value) != "value" {
		t.Fatalf("read: %+v", value)
	}
}

// TestGroupFollowsMembers changes the members while the program is attached.
func TestGroupFollowsMembers(t *testing.T) {
	dp := load(t, "")
	w := newWire(t, 1500)
	w.join(t, dp)
	for _, n := range []int{3, 1, 4, 0} {
		restore(t, dp, shard(n))
		entries := 0
		var key uint32
		var value [8]byte
		for iterator := dp.objects.Group.Iterate(); iterator.Next(&key, &value); {
			entries++
		}
		if entries != n {
			t.Errorf("%d entries in the multicast group of %d members", entries, n)
		}
	}
}

// TestRefusals checks what a user reads when a device can't be had.
func TestRefusals(t *testing.T) {
	dp := load(t, "")
	w := newWire(t, 1500)
	loopback := namespace.Up(t, "lo")
	refused := func(what string, got, want error) {
		if !errors.Is(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	refused("a device without native XDP", dp.Attach(loopback), ErrNoNativeXDP)
	_, err := AttachPass(loopback)
	refused("a pass program there", err, ErrNoNativeXDP)
	refused("a device that does not exist", dp.Attach(12345), ErrNoDevice)

	pass, err := AttachPass(w.coordinator)
	if err != nil {
		t.Fatal(err)
	}
	refused("a device with a program", dp.Attach(w.coordinator), ErrDeviceBusy)
	if err := pass.Close(); err != nil {
		t.Fatal(err)
	}
	if err := dp.Attach(w.coordinator); err != nil {
		t.Fatalf("the device is free again: %v", err)
	}
	refused("a second attachment", dp.Attach(w.coordinator), ErrAttached)
	if err := dp.Detach(); err != nil {
		t.Fatal(err)
	}
	if err := dp.Attach(w.coordinator); err != nil {
		t.Fatalf("attach again: %v", err)
	}
}

func TestRefusesLargeFrames(t *testing.T) {
	dp := load(t, "")
	w := newWire(t, 9000)
	if err := dp.Attach(w.coordinator); !errors.Is(err, ErrMTU) {
		t.Errorf("a device with an MTU of 9000: got %v, want %v", err, ErrMTU)
	}
}
