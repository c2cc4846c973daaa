// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"dalio/bpf/internal/namespace"
	"dalio/protocol"
)

// crossroads is a data plane on several devices. The model knows nothing of
// devices: crossroads adds to its outcome by which device a frame has to leave,
// and with which hardware address.
type crossroads struct {
	dp    *DataPlane
	wires []*wire
	// paths has the device number by which each replica is reached.
	paths [protocol.MaxMembers]int
	// stations has the device number by which the last request came that was
	// passed on for a client's IP and hardware address.
	stations map[[10]byte]int
}

// newCrossroads gives the data plane the devices without attaching it, so that
// frames are handled one at a time, and changes need not wait for programs.
func newCrossroads(t *testing.T, dp *DataPlane, devices int) *crossroads {
	t.Helper()
	namespace.EnterNetwork(t)
	c := &crossroads{dp: dp, stations: map[[10]byte]int{}}
	var indices []int
	for number := range devices {
		w := addWire(t, number, 1500, 1)
		letIn(t, w.coordinator)
		c.wires = append(c.wires, w)
		indices = append(indices, w.coordinator)
	}
	if err := dp.enterDevices(indices); err != nil {
		t.Fatal(err)
	}
	var paths [protocol.MaxMembers]int
	for i := range paths {
		c.paths[i] = (i + 1) % devices
		paths[i] = indices[c.paths[i]]
	}
	if err := dp.SetPaths(paths); err != nil {
		t.Fatal(err)
	}
	return c
}

// handle runs the bytecode on a frame, which most often comes in by the device
// of its sender, and compares it with the model.
func (c *crossroads) handle(t *rapid.T, w *world, frame []byte) protocol.Outcome {
	ingress := int(frame[len(frame)-1]) % len(c.wires)
	if len(frame) > 29 {
		ingress = int(frame[29]) % len(c.wires)
	}
	if rapid.IntRange(0, 15).Draw(t, "moved") == 15 {
		ingress = rapid.IntRange(0, len(c.wires)-1).Draw(t, "device")
	}
	got, complaint, err := c.examine(w.model, frame, ingress)
	if err != nil {
		t.Fatal(err)
	}
	if complaint != "" {
		t.Fatalf("%s: %s", action(frame), complaint)
	}
	return got
}

// examine runs the bytecode on a frame that comes in by the device with the number,
// and says in what it differs from the model; "" means in nothing.
func (c *crossroads) examine(model *protocol.Coordinator, frame []byte, ingress int) (got protocol.Outcome, complaint string, err error) {
	got, egress, err := c.dp.handleFrom(c.wires[ingress].coordinator, frame)
	if err != nil {
		return got, "", err
	}
	want := model.HandleFrame(bytes.Clone(frame))
	number := c.complete(frame, ingress, &want)
	if difference := differ(c.dp, model, got, want); difference != "" {
		return got, difference, nil
	}
	if got.Verdict == protocol.Transmit && egress != c.wires[number].coordinator {
		return got, fmt.Sprintf("the frame leaves by device %d, want %d", egress, c.wires[number].coordinator), nil
	}
	return got, "", nil
}

// complete adds to the model's outcome what depends on devices.
func (c *crossroads) complete(frame []byte, ingress int, want *protocol.Outcome) (egress int) {
	station := func(frame []byte, ip, mac int) [10]byte {
		return [10]byte(slices.Concat(frame[ip:ip+4], frame[mac:mac+6]))
	}
	egress = ingress
	switch {
	case want.Verdict == protocol.Multicast && want.Action == "HandleWriteRequest":
		c.stations[station(frame, 26, 6)] = ingress
	case want.Verdict != protocol.Transmit:
	case frameType(want.Frame) == protocol.Read || frameType(want.Frame) == protocol.Write:
		if want.Action == "HandleReadRequest" || want.Action == "HandleWriteRequest" {
			c.stations[station(frame, 26, 6)] = ingress
		}
		var m protocol.Message
		if m.Unmarshal(want.Frame[protocol.FrameOverhead:]) == nil {
			egress = c.paths[m.Replica.Index()]
		}
	case want.Action == "HandleWriteAck" || want.Action == "HandleReadReply":
		known := false
		if egress, known = c.stations[station(want.Frame, 30, 0)]; !known {
			*want = protocol.Outcome{Verdict: protocol.Drop, Reason: protocol.Internal, Action: want.Action}
		}
	}
	if want.Verdict == protocol.Transmit {
		mac := deviceMAC(egress)
		copy(want.Frame[6:], mac[:])
	}
	return egress
}

// TestModelAgainstBytecodeOnSeveralDevices is TestModelAgainstBytecode for a
// coordinator that reaches replicas and clients by devices of their own.
func TestModelAgainstBytecodeOnSeveralDevices(t *testing.T) {
	dp := loadFor(t, "", true)
	c := newCrossroads(t, dp, 4)
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, dp, anyState(t))
		w.model, w.crossroads = clone(w.start), c
		t.Repeat(rapid.StateMachineActions(w))
	})
	if !t.Failed() {
		expectCounted(t, dp, "redirected", "learned", "stranded")
	}
}

// TestFramesOfOtherDevices: what comes in by a device that is not the data
// plane's is not handled, though it is addressed to it.
func TestFramesOfOtherDevices(t *testing.T) {
	dp := loadFor(t, "", true)
	c := newCrossroads(t, dp, 2)
	stranger := addWire(t, 2, 1500, 1)
	letIn(t, stranger.coordinator)
	restore(t, dp, shard(1))
	m := readRequest(1, "key")
	frame := protocol.NewFrame(&m, client(0), self)
	for ifindex, want := range map[int]protocol.Reason{c.wires[0].coordinator: protocol.NotDropped, stranger.coordinator: protocol.Internal} {
		if got, _, err := dp.handleFrom(ifindex, frame); err != nil || got.Reason != want {
			t.Errorf("device %d: %+v, %v; want %v", ifindex, got, err, want)
		}
	}
}

// TestDeviceRefusals checks what several devices add to what can go wrong, and
// that nothing stays attached then.
func TestDeviceRefusals(t *testing.T) {
	namespace.EnterNetwork(t)
	loopback := namespace.Up(t, "lo")
	first, second := addWire(t, 0, 1500, 1), addWire(t, 1, 1500, 1)
	one, several := load(t, ""), loadFor(t, "", true)
	for _, dp := range []*DataPlane{one, several} {
		restore(t, dp, shard(2))
	}
	refused := func(what string, got, want error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	refused("no device", several.Attach(), ErrOptions)
	refused("two devices for the object of one", one.Attach(first.coordinator, second.coordinator), ErrOptions)
	refused("a device twice", several.Attach(first.coordinator, first.coordinator), ErrOptions)
	refused("more devices than there can be", several.Attach(make([]int, maxDevices+1)...), ErrOptions)
	refused("a device without native XDP", several.Attach(first.coordinator, loopback), ErrNoNativeXDP)
	refused("a device that does not exist", several.Attach(first.coordinator, 12345), ErrNoDevice)
	if err := several.SetPaths([protocol.MaxMembers]int{0, loopback}); err != nil {
		t.Fatal(err)
	}
	refused("a path by none of the devices", several.Attach(first.coordinator, second.coordinator), ErrNoDevice)
	if err := several.SetPaths([protocol.MaxMembers]int{}); err != nil {
		t.Fatal(err)
	}
	_, err := Load(Options{Self: self, MaxSessions: testSlots, SeveralDevices: true, Object: "coordinator_bpfel.o"})
	refused("the object of one device for several", err, ErrOptions)
	_, err = Load(Options{Self: self, MaxSessions: testSlots, Object: "several_bpfel.o"})
	refused("the object of several devices for one", err, ErrOptions)

	// The devices are free after all that.
	if err := several.Attach(first.coordinator, second.coordinator); err != nil {
		t.Fatal(err)
	}
	refused("a second attachment", several.Attach(first.coordinator), ErrAttached)
	refused("a path by another device", several.SetPaths([protocol.MaxMembers]int{0, loopback}), ErrNoDevice)
	if err := several.SetPaths([protocol.MaxMembers]int{0, second.coordinator}); err != nil {
		t.Fatal(err)
	}
	if want := [protocol.MaxMembers]int{first.coordinator, second.coordinator}; several.group != want {
		t.Errorf("the multicast group has the devices %v, want %v", several.group, want)
	}
	if err := several.Detach(); err != nil {
		t.Fatal(err)
	}
	if err := one.Attach(second.coordinator); err != nil {
		t.Errorf("the devices are not free: %v", err)
	}
}
