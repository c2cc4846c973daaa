// SPDX-License-Identifier: Apache-2.0

package prefetch

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"dalio/bpf/internal/namespace"
)

const (
	// batch is BATCH in prefetch.h.
	batch = 8
	// frames are put into the ring together, before any is handled.
	frames = 64
)

// pair makes a veth pair in a network namespace of its own, which goes away with the
// calling goroutine's thread.
func pair(t *testing.T) (inside, outside int) {
	t.Helper()
	namespace.EnterNetwork(t)
	// Of the kernel's own frames none must come between those that are counted.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("set up the network namespace: %v", err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "inside"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "outside"}); err != nil {
		t.Fatalf("make a veth pair: %v", err)
	}
	return namespace.Up(t, "inside"), namespace.Up(t, "outside")
}

func attach(t *testing.T, program *ebpf.Program, ifindex int) {
	t.Helper()
	l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: ifindex, Flags: link.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

func loadNoting(t *testing.T) *notedObjects {
	t.Helper()
	o := &notedObjects{}
	if err := loadNotedObjects(o, nil); err != nil {
		t.Fatalf("load (needs root): %+v", err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// inject puts frames into the ring of the device at the other end, and waits until all
// were handled.
func inject(t *testing.T, o *notedObjects, outside int) {
	t.Helper()
	var before, come uint32
	if err := o.Come.Get(&before); err != nil {
		t.Fatal(err)
	}
	context := struct{ Data, DataEnd, Meta, Ingress, Queue, Egress uint32 }{DataEnd: 2 * 64, Ingress: uint32(outside)}
	_, err := o.Inject.Run(&ebpf.RunOptions{Data: make([]byte, 2*64), Context: context, Repeat: frames,
		Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES, BatchSize: frames})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); come-before < frames; time.Sleep(time.Millisecond) {
		if err := o.Come.Get(&come); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d frames came, want %d", come-before, frames)
		}
	}
	var strange uint32
	if err := o.Strange.Get(&strange); err != nil || strange != 0 {
		t.Fatalf("%d frames came out of order: %v", strange, err)
	}
}

// TestFetchesTheNext checks that what is fetched is what comes next: the frame that is
// taken from the ring so many places later has the number that was found in it before.
func TestFetchesTheNext(t *testing.T) {
	inside, outside := pair(t)
	o := loadNoting(t)
	attach(t, o.PrefetchNoting, inside)
	// Five times more than once around the ring, of 256 slots.
	const rounds = 21
	var counts [3]int
	for range rounds {
		inject(t, o, outside)
		for _, n := range notesOf(t, o) {
			counts[n.What]++
			first := uint64(n.Come) + 1
			if n.What == describing {
				first += batch
			}
			if n.Number < first || n.Number >= first+batch {
				t.Fatalf("after %d frames %d was fetched (%d), want %d to %d", n.Come, n.Number, n.What, first, first+batch-1)
			}
		}
	}
	// The kernel may begin with the first frames before all are in the ring.
	for what, n := range counts {
		if n < rounds*frames/2 {
			t.Errorf("%d of %d frames were fetched (%d), want most", n, rounds*frames, what)
		}
	}
	t.Logf("%d descriptions, %d first and %d second lines of %d frames", counts[0], counts[1], counts[2], rounds*frames)
}

// describing is FETCHED_DESCRIPTION.
const describing = 0

// notesOf returns the notes taken since it was called before.
func notesOf(t *testing.T, o *notedObjects) []notedNote {
	t.Helper()
	var n uint32
	var all [4096]notedNote
	if err := errors.Join(o.NoteCount.Get(&n), o.Notes.Get(&all), o.NoteCount.Set(uint32(0))); err != nil {
		t.Fatal(err)
	}
	if n == uint32(len(all)) {
		t.Fatal("there was no room for a note")
	}
	return all[:n]
}

// TestHandsOver has the shipped program run in front of another one, by itself and after
// it was pinned and taken over.
func TestHandsOver(t *testing.T) {
	inside, outside := pair(t)
	o := loadNoting(t)
	p, err := Load(o.Receive)
	if err != nil {
		t.Fatal(err)
	}
	attach(t, p.Program(), inside)
	inject(t, o, outside)

	dir := namespace.MountBPF(t)
	if err := errors.Join(p.Pin(dir), p.Close()); err != nil {
		t.Fatal(err)
	}
	inject(t, o, outside)
	if _, err := LoadPinned(dir, o.PrefetchNoting); !errors.Is(err, ErrHandler) {
		t.Errorf("LoadPinned in front of another program: got %v, want %v", err, ErrHandler)
	}
	p, err = LoadPinned(dir, o.Receive)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Close(), os.Remove(filepath.Join(dir, MapPin))); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadPinned(dir, o.Receive); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("LoadPinned without the map: got %v, want %v", err, os.ErrNotExist)
	}
}

// TestRefusals checks what Load says of a program that can't be led to.
func TestRefusals(t *testing.T) {
	filter, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}})
	if err != nil {
		t.Fatalf("load (needs root): %v", err)
	}
	t.Cleanup(func() { filter.Close() })
	if p, err := Load(filter); err == nil {
		p.Close()
		t.Error("Load in front of a program of another type: no error")
	} else if !errors.Is(err, unix.EINVAL) {
		t.Errorf("Load in front of a program of another type: %v", err)
	}
}
