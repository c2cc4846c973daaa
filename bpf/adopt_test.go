// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"dalio/bpf/internal/namespace"
	"dalio/protocol"
)

// expectAdopted compares what a successor found with what the model has by then.
func expectAdopted(t *testing.T, d *DataPlane, model *protocol.Coordinator) {
	t.Helper()
	state, err := d.State()
	if err != nil {
		t.Fatal(err)
	}
	for slot, want := range model.Sessions {
		if got := state.Sessions[slot]; got != want {
			t.Errorf("adopted slot %d: %+v, want %+v", slot, got, want)
		}
	}
	if state.Epoch != model.Epoch || state.NextSeq != model.NextSeq || state.Members != model.Members ||
		state.Serving != model.Serving || state.Known != model.Known {
		t.Errorf("adopted %+v, want %+v", state, model)
	}
}

// TestPinnedDataPlaneOutlivesItsProcess kills a control plane while a write is
// pending. The write commits without it; a successor then adopts the programs and
// tables, admits a member, removes another, and leaves nothing behind.
func TestPinnedDataPlaneOutlivesItsProcess(t *testing.T) {
	w := newWire(t, 1500)
	letIn(t, w.outside)
	dir := mountPins(t)
	predecessor := hold(t, dir, w.coordinator)
	model := shard(2)
	exchange := func(m protocol.Message, from protocol.Address) protocol.Message {
		t.Helper()
		frame := protocol.NewFrame(&m, from, self)
		want := model.HandleFrame(bytes.Clone(frame))
		w.send(t, frame)
		got := w.receiveUntilAnswer(t)
		if want.Verdict == protocol.Drop {
			expectFrames(t, got, nil)
			return protocol.Message{}
		}
		expectFrames(t, got, copiesOf(want, len(want.Clones)))
		return mustDecode(t, got[0])
	}
	acknowledge := func(write protocol.Message, i int) protocol.Message {
		write.Type, write.Replica, write.Key, write.Value = protocol.WriteAck, replica(i).ID, nil, nil
		return exchange(write, replica(i).Address)
	}
	session := exchange(protocol.Message{Type: protocol.OpenRequest, Request: 5}, client(0)).Session
	write := exchange(writeRequest(session, 1, "key", "value"), client(0))
	acknowledge(write, 0)

	predecessor.kill()
	if done := acknowledge(write, 1); done.Type != protocol.WriteResponse || done.Status != protocol.StatusOK {
		t.Fatalf("the write that was pending when the process was killed: %+v", done)
	}
	write = exchange(writeRequest(session, 2, "key", "later"), client(0))
	acknowledge(write, 0)

	successor, err := Adopt(dir, pinOptions(false))
	if err != nil {
		t.Fatal(err)
	}
	expectAdopted(t, successor, model)
	if want := [protocol.MaxMembers]int{w.coordinator, w.coordinator}; successor.group != want {
		t.Errorf("the multicast group was adopted as %v, want %v", successor.group, want)
	}
	if err := successor.SetMembers(replica(0), replica(1), replica(2)); err != nil {
		t.Fatal(err)
	}
	model.Members |= 0b100
	model.Known[2] = replica(2)
	acknowledge(write, 1) // Is not enough any more.
	if done := acknowledge(write, 2); done.Status != protocol.StatusOK {
		t.Fatalf("the write that the new member acknowledged last: %+v", done)
	}
	exchange(writeRequest(session, 3, "key", "last"), client(0)) // Three copies.
	// The entry of a member of the predecessor's time must go, or it gets copies still.
	if err := errors.Join(successor.SetServing(0b1), successor.SetMembers(replica(0), replica(2))); err != nil {
		t.Fatal(err)
	}
	model.Serving, model.Members, model.Known[1] = 0b1, 0b101, protocol.Member{}
	exchange(writeRequest(session, 3, "key", "last"), client(0)) // Two.

	if err := successor.Release(); err != nil {
		t.Fatal(err)
	}
	exchange(writeRequest(session, 3, "key", "last"), client(0)) // The pins keep it.
	if successor, err = Adopt(dir, pinOptions(false)); err != nil {
		t.Fatal(err)
	}
	if err := successor.Close(); err != nil {
		t.Fatal(err)
	}
	expectUnpinned(t, dir, w.coordinator)
}

// TestAdoptionOnSeveralDevices: a successor knows by which device each member is
// reached, and puts right the multicast group that its predecessor died in changing.
func TestAdoptionOnSeveralDevices(t *testing.T) {
	namespace.EnterNetwork(t)
	first, second := addWire(t, 0, 1500, 1), addWire(t, 1, 1500, 1)
	dir := mountPins(t)
	hold(t, dir, first.coordinator, second.coordinator).kill()
	group, err := ebpf.LoadPinnedMap(filepath.Join(dir, mapPin("group")), nil)
	if err != nil {
		t.Fatal(err)
	}
	surplus := binary.NativeEndian.AppendUint64(nil, uint64(second.coordinator))
	if err := errors.Join(group.Delete(uint32(1)), group.Put(uint32(2), surplus), group.Close()); err != nil {
		t.Fatal(err)
	}
	dp, err := Adopt(dir, pinOptions(true))
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{first.coordinator, second.coordinator}; !slices.Equal(dp.devices, want) {
		t.Errorf("adopted on the devices %v, want %v", dp.devices, want)
	}
	if want := [protocol.MaxMembers]int{1: second.coordinator}; dp.paths != want {
		t.Errorf("adopted with the paths %v, want %v", dp.paths, want)
	}
	var entry [8]byte
	for index, device := range []int{first.coordinator, second.coordinator} {
		err := dp.objects.Group.Lookup(uint32(index), &entry)
		if got := binary.NativeEndian.Uint32(entry[:]); err != nil || int(got) != device {
			t.Errorf("member %d is reached by device %d (%v), want %d", index, got, err, device)
		}
	}
	if err := dp.objects.Group.Lookup(uint32(2), &entry); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("the entry of a member that there is not: %v", err)
	}
	if err := dp.Close(); err != nil {
		t.Fatal(err)
	}
	expectUnpinned(t, dir, first.coordinator, second.coordinator)
}

// adoptAs adopts with changed options, and lets go of what that gave.
func adoptAs(dir string, change func(*Options)) error {
	o := pinOptions(false)
	change(&o)
	dp, err := Adopt(dir, o)
	if err == nil {
		err = dp.Release()
	}
	return err
}

// TestAdoptionRefusals: what is pinned stays as it was when it can't be adopted.
func TestAdoptionRefusals(t *testing.T) {
	w := newWire(t, 1500)
	dir := mountPins(t)
	as := func(*Options) {}
	expectError(t, "nothing", adoptAs(dir, as), ErrNotPinned)
	predecessor := hold(t, dir, w.coordinator)
	expectError(t, "what is held", adoptAs(dir, as), ErrHeld)
	expectError(t, "to remove what is held", Unpin(dir), ErrHeld)
	predecessor.kill()
	expectError(t, "bad options", adoptAs(dir, func(o *Options) { o.MaxSessions = 12 }), ErrOptions)
	expectError(t, "another object", adoptAs(dir, func(o *Options) { o.Object = withoutGate(t) }), ErrPinsDiffer)
	expectError(t, "the object for several devices", adoptAs(dir, func(o *Options) { o.SeveralDevices = true }), ErrPinsDiffer)
	for _, other := range []struct {
		what   string
		change func(*Options)
	}{
		{"max_sessions", func(o *Options) { o.MaxSessions *= 2 }},
		{"session_ttl", func(o *Options) { o.SessionTTL++ }},
		{"lease", func(o *Options) { o.Lease = time.Second }},
		{"coordinator_address", func(o *Options) { o.Self.IP[3]++ }},
		{"coordinator_address", func(o *Options) { o.Self.Port++ }},
		{"coordinator_address", func(o *Options) { o.Self.MAC[5]++ }},
	} {
		err := adoptAs(dir, other.change)
		expectError(t, "another "+other.what, err, ErrPinsDiffer)
		if err == nil || !strings.Contains(err.Error(), other.what) {
			t.Errorf("another %s: %v does not name it", other.what, err)
		}
	}
	expectError(t, "after all that", adoptAs(dir, as), nil)
	if err := os.Remove(filepath.Join(dir, mapPin("sessions"))); err != nil {
		t.Fatal(err)
	}
	expectError(t, "a part", adoptAs(dir, as), ErrNotPinned)
	if err := Unpin(dir); err != nil {
		t.Fatal(err)
	}
	expectUnpinned(t, dir, w.coordinator)
	expectError(t, "to remove nothing", Unpin(dir), nil)
}

// TestStaleSuccessor: the link, not what a successor has read, says which program
// the device runs. One that would act on another is refused.
func TestStaleSuccessor(t *testing.T) {
	w := newWire(t, 1500)
	dir := mountPins(t)
	hold(t, dir, w.coordinator).kill()
	other := load(t, "")
	l, err := link.LoadPinnedLink(filepath.Join(dir, linkPin(0)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Update(other.objects.Coordinator), l.Close()); err != nil {
		t.Fatal(err)
	}
	expectError(t, "a device that runs another program", adoptAs(dir, func(*Options) {}), ErrPinsDiffer)
	if err := Unpin(dir); err != nil {
		t.Fatal(err)
	}
	expectUnpinned(t, dir, w.coordinator)
}

// TestAdoptionWithoutItsDevice: a device of another namespace is not taken for the
// one that the data plane is attached to, though it has the number.
func TestAdoptionWithoutItsDevice(t *testing.T) {
	w := newWire(t, 1500)
	dir := mountPins(t)
	hold(t, dir, w.coordinator).kill()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	as := func(*Options) {}
	expectError(t, "from another namespace", adoptAs(dir, as), ErrNoDevice)
	stranger := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "stranger", Index: w.coordinator}, PeerName: "peer"}
	if err := netlink.LinkAdd(stranger); err != nil {
		t.Fatal(err)
	}
	expectError(t, "from another namespace that has the number", adoptAs(dir, as), ErrNoDevice)
	if err := Unpin(dir); err != nil {
		t.Fatal(err)
	}
}

// TestPin checks when a data plane can be pinned, and that it then can be let go.
func TestPin(t *testing.T) {
	w := newWire(t, 1500)
	dir := mountPins(t)
	dp := load(t, "")
	expectError(t, "not attached", dp.Pin(dir), ErrNotAttached)
	expectError(t, "to let go what nothing keeps", dp.Release(), ErrNotPinned)
	if err := dp.Attach(w.coordinator); err != nil {
		t.Fatal(err)
	}
	ordinary := filepath.Join(t.TempDir(), "shard")
	if err := dp.Pin(ordinary); err == nil {
		t.Error("pinned in a file system that has no pins")
	}
	if _, err := os.Stat(ordinary); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a failed pin leaves its directory: %v", err)
	}
	if err := dp.Pin(dir); err != nil {
		t.Fatal(err)
	}
	expectError(t, "twice", dp.Pin(dir+"2"), ErrPinned)
	expectError(t, "to remove what one holds oneself", Unpin(dir), ErrHeld)
	if err := dp.Detach(); err != nil {
		t.Fatal(err)
	}
	expectUnpinned(t, dir, w.coordinator)
	if err := errors.Join(os.Mkdir(dir, 0o700), dp.Attach(w.coordinator)); err != nil {
		t.Fatal(err)
	}
	expectError(t, "where something is", dp.Pin(dir), ErrPinned)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
}
