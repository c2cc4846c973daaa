// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"dalio/protocol"
)

// TestMend has others take the program off its device, or put another in its place. A
// request is answered again after it was put back, and who adopts finds it.
func TestMend(t *testing.T) {
	pass, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "pass", Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pass.Close() })
	replace := func(l link.Link) error { return l.Update(pass) }
	for name, harm := range map[string]func(link.Link) error{
		"taken off": link.Link.Detach,
		"replaced":  replace,
		"both":      func(l link.Link) error { return errors.Join(replace(l), l.Detach()) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, 1500)
			letIn(t, w.outside)
			dir := mountPins(t)
			d, err := Load(pinOptions(false))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { d.Close() })
			if err := errors.Join(d.Attach(w.coordinator), d.Open(Epoch{Number: 1, Members: []protocol.Member{replica(0)}}), d.Pin(dir)); err != nil {
				t.Fatal(err)
			}
			if mended, err := d.Mend(); mended || err != nil {
				t.Fatalf("Mend() = %v, %v while all is well", mended, err)
			}
			if err := harm(d.links[0]); err != nil {
				t.Fatal(err)
			}
			if mended, err := d.Mend(); !mended || err != nil {
				t.Fatalf("Mend() = %v, %v", mended, err)
			}
			expectAnswer(t, w, 5)
			if err := d.Release(); err != nil {
				t.Fatal(err)
			}
			successor, err := Adopt(dir, pinOptions(false))
			if err != nil {
				t.Fatal(err)
			}
			if err := successor.Close(); err != nil {
				t.Fatal(err)
			}
			expectUnpinned(t, dir, w.coordinator)
			if _, err := successor.Mend(); !errors.Is(err, ErrNotAttached) {
				t.Errorf("Mend() = %v after that, want %v", err, ErrNotAttached)
			}
		})
	}
}
