// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

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
	options := Options{Self: self, MaxSessions: testSlots, SessionTTL: testTTL}
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

	successor, err := adoptPins(dir, options)
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

	letGo(t, successor)
	exchange(writeRequest(session, 3, "key", "last"), client(0)) // The pins keep it.
	unpin(t, dir)
	expectDetached(t, w.coordinator)
}

// TestAdoptionRefusesAnotherObject: a successor that was built from other sources
// would take the tables for something that they are not.
func TestAdoptionRefusesAnotherObject(t *testing.T) {
	w := newWire(t, 1500)
	dir := mountPins(t)
	hold(t, dir, w.coordinator).kill()
	options := Options{Self: self, MaxSessions: testSlots, SessionTTL: testTTL, Object: withoutGate(t)}
	if _, err := adoptPins(dir, options); !errors.Is(err, ebpf.ErrProgIncompatible) {
		t.Errorf("the programs of another object: got %v, want %v", err, ebpf.ErrProgIncompatible)
	}
	options.Object, options.MaxSessions = "", 2*testSlots
	if _, err := adoptPins(dir, options); !errors.Is(err, ebpf.ErrMapIncompatible) {
		t.Errorf("a table of another size: got %v, want %v", err, ebpf.ErrMapIncompatible)
	}
	unpin(t, dir)
	expectDetached(t, w.coordinator)
}

// TestStaleSuccessorIsRefused has two successors replace the program of one pinned
// link. The second acts on what it read before the first did.
func TestStaleSuccessorIsRefused(t *testing.T) {
	w := newWire(t, 1500)
	dir := mountPins(t)
	hold(t, dir, w.coordinator).kill()
	first, second := load(t, ""), load(t, "")
	pinned, err := ebpf.LoadPinnedProgram(filepath.Join(dir, "coordinator"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer pinned.Close()
	l, err := link.LoadPinnedLink(filepath.Join(dir, "link"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	replace := func(with *DataPlane) error {
		return l.(interface {
			UpdateArgs(link.RawLinkUpdateOptions) error
		}).UpdateArgs(link.RawLinkUpdateOptions{New: with.objects.Coordinator, Old: pinned, Flags: unix.BPF_F_REPLACE})
	}
	if err := replace(first); err != nil {
		t.Fatal(err)
	}
	if err := replace(second); !errors.Is(err, unix.EPERM) {
		t.Errorf("a successor that was too late: got %v, want %v", err, unix.EPERM)
	}
	info, err := l.Info()
	if err != nil {
		t.Fatal(err)
	}
	details, err := first.objects.Coordinator.Info()
	if err != nil {
		t.Fatal(err)
	}
	if id, _ := details.ID(); info.Program != id {
		t.Errorf("the link runs program %d, want %d of the first successor", info.Program, id)
	}
	l.Close()
	unpin(t, dir)
	expectDetached(t, w.coordinator)
}
