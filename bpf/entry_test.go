// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"dalio/bpf/internal/namespace"
	"dalio/bpf/prefetch"
	"dalio/protocol"
)

// loadPrefetching loads a data plane that fetches frames ahead, or not, as told.
func loadPrefetching(t *testing.T, way Prefetch, several bool) *DataPlane {
	t.Helper()
	o := pinOptions(several)
	o.Prefetch = way
	d, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// runsFirst returns the name of the program that a device runs.
func runsFirst(t *testing.T, ifindex int) string {
	t.Helper()
	device, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		t.Fatal(err)
	}
	if xdp := device.Attrs().Xdp; xdp != nil && xdp.Attached {
		program, err := ebpf.NewProgramFromID(ebpf.ProgramID(xdp.ProgId))
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		info, err := program.Info()
		if err != nil {
			t.Fatal(err)
		}
		return info.Name
	}
	return ""
}

// expectAnswer sends a request to a data plane, which must answer.
func expectAnswer(t *testing.T, w *wire, nonce uint64) {
	t.Helper()
	open := protocol.Message{Type: protocol.OpenRequest, Request: nonce}
	w.send(t, protocol.NewFrame(&open, client(0), self))
	if got := w.receiveUntilAnswer(t); len(got) != 1 || mustDecode(t, got[0]).Type != protocol.OpenResponse {
		t.Errorf("the answer to a request: %x", got)
	}
}

// TestPrefetchInFront checks which program a veth device runs first, and that requests
// are answered either way, again after the data plane was attached anew.
func TestPrefetchInFront(t *testing.T) {
	w := newWire(t, 1500)
	letIn(t, w.outside)
	for way, want := range map[Prefetch]string{PrefetchAuto: "prefetch", PrefetchOn: "prefetch", PrefetchOff: "coordinator"} {
		d := loadPrefetching(t, way, false)
		expectError(t, "Prefetches before it is attached", d.Prefetches(), ErrNotAttached)
		if err := d.Open(Epoch{Number: 1, Members: []protocol.Member{replica(0)}}); err != nil {
			t.Fatal(err)
		}
		for nonce := range uint64(2) {
			if err := d.Attach(w.coordinator); err != nil {
				t.Fatal(err)
			}
			if got := runsFirst(t, w.coordinator); got != want {
				t.Errorf("%v: the device runs %s, want %s", way, got, want)
			}
			if got := d.Prefetches(); (got == nil) != (want == "prefetch") || got != nil && !errors.Is(got, ErrNoPrefetch) {
				t.Errorf("%v: Prefetches() = %v", way, got)
			}
			expectAnswer(t, w, nonce+1)
			if err := d.Detach(); err != nil {
				t.Fatal(err)
			}
			expectDetached(t, w.coordinator)
		}
	}
}

// tap makes a device that is no veth and has native XDP, in the caller's namespace.
func tap(t *testing.T) int {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "tap0"
	device := &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP, Queues: 1, Flags: netlink.TUNTAP_DEFAULTS}
	if err := netlink.LinkAdd(device); err != nil {
		t.Fatalf("make a tap device (needs root): %v", err)
	}
	for _, f := range device.Fds {
		t.Cleanup(func() { f.Close() })
	}
	return namespace.Up(t, "tap0")
}

// TestPrefetchOnOtherDevices: on a device that is no veth the coordinator's program runs
// alone, and beside a veth device each has its own; who asks for more is refused.
func TestPrefetchOnOtherDevices(t *testing.T) {
	w := newWire(t, 1500)
	other := tap(t)
	for _, devices := range [][]int{{other}, {w.coordinator, other}} {
		d := loadPrefetching(t, PrefetchOn, len(devices) > 1)
		expectError(t, "prefetch on", d.Attach(devices...), ErrNoPrefetch)
		for _, ifindex := range devices {
			expectDetached(t, ifindex)
		}
		d = loadPrefetching(t, PrefetchAuto, len(devices) > 1)
		if err := d.Attach(devices...); err != nil {
			t.Fatal(err)
		}
		expectError(t, "Prefetches", d.Prefetches(), ErrNoPrefetch)
		if got := runsFirst(t, other); got != "coordinator" {
			t.Errorf("the tap device runs %s", got)
		}
		if got := runsFirst(t, w.coordinator); len(devices) > 1 && got != "prefetch" {
			t.Errorf("the veth device runs %s", got)
		}
		if err := d.Detach(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAdoptionWithPrefetch: a successor goes on as its predecessor was, unless it was told
// otherwise, and never with a program that leads elsewhere.
func TestAdoptionWithPrefetch(t *testing.T) {
	w := newWire(t, 1500)
	letIn(t, w.outside)
	dir := mountPins(t)
	pin := func(way Prefetch) {
		t.Helper()
		d := loadPrefetching(t, way, false)
		err := errors.Join(d.Attach(w.coordinator), d.Open(Epoch{Number: 1, Members: []protocol.Member{replica(0)}}), d.Pin(dir), d.Release())
		if err != nil {
			t.Fatal(err)
		}
	}
	as := func(way Prefetch) func(*Options) { return func(o *Options) { o.Prefetch = way } }
	unpin := func() {
		t.Helper()
		if err := Unpin(dir); err != nil {
			t.Fatal(err)
		}
		expectUnpinned(t, dir, w.coordinator)
	}

	pin(PrefetchOff)
	expectAnswer(t, w, 1)
	expectError(t, "to have it on", adoptAs(dir, as(PrefetchOn)), ErrPinsDiffer)
	expectError(t, "to have it off", adoptAs(dir, as(PrefetchOff)), nil)
	expectError(t, "to have it as it is", adoptAs(dir, as(PrefetchAuto)), nil)
	unpin()

	pin(PrefetchAuto)
	expectAnswer(t, w, 2)
	expectError(t, "to have it off, where it is on", adoptAs(dir, as(PrefetchOff)), ErrPinsDiffer)
	expectError(t, "to have it on, where it is", adoptAs(dir, as(PrefetchOn)), nil)
	d, err := Adopt(dir, pinOptions(false))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Prefetches(); err != nil {
		t.Errorf("Prefetches() = %v after an adoption", err)
	}
	if err := d.Release(); err != nil {
		t.Fatal(err)
	}
	expectAnswer(t, w, 3)

	handler, err := ebpf.LoadPinnedMap(filepath.Join(dir, prefetch.MapPin), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(handler.Put(uint32(0), load(t, "").objects.Coordinator), handler.Close()); err != nil {
		t.Fatal(err)
	}
	expectError(t, "what leads elsewhere", adoptAs(dir, as(PrefetchAuto)), ErrPinsDiffer)
	if err := os.Remove(filepath.Join(dir, prefetch.MapPin)); err != nil {
		t.Fatal(err)
	}
	expectError(t, "a part", adoptAs(dir, as(PrefetchAuto)), ErrPinsDiffer)
	unpin()
}

// TestPrefetchNames checks that each way is read as it is written, and nothing else.
func TestPrefetchNames(t *testing.T) {
	for way := PrefetchAuto; way <= PrefetchOff; way++ {
		var read Prefetch
		if text, err := way.MarshalText(); err != nil || read.UnmarshalText(text) != nil || read != way {
			t.Errorf("%v is written as %s (%v) and read as %v", way, text, err, read)
		}
	}
	var read Prefetch
	if err := read.UnmarshalText([]byte("yes")); err == nil {
		t.Error(`"yes" is read without an error`)
	}
	o := pinOptions(false)
	o.Prefetch = PrefetchOff + 1
	_, err := Load(o)
	expectError(t, "a way that there is not", err, ErrOptions)
}
