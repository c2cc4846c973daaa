// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"errors"
	"testing"
)

// TestSwitch has frames go past the bridge, and so to programs on devices alone, while
// those that look for an address pass the bridge.
func TestSwitch(t *testing.T) {
	rack, err := New(t.Context(), Options{Switched: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rack.Close(); err != nil {
			t.Error(err)
		}
	})
	a, b := addNode(t, rack, "a", 1), addNode(t, rack, "b", 2)
	fromA, fromB := listen(t, a), listen(t, b)
	passA, err := a.AttachPass()
	if err != nil {
		t.Fatal(err)
	}
	passB, err := b.AttachPass()
	if err != nil {
		t.Fatal(err)
	}
	send(t, fromA, fromB, 1)
	if got := receive(t, fromB, 1); len(got) != 1 || got[0] != 1 {
		t.Fatalf("b got %v from a", got)
	}
	send(t, fromB, fromA, 2)
	if got := receive(t, fromA, 1); len(got) != 1 || got[0] != 2 {
		t.Fatalf("a got %v from b", got)
	}
	if err := passB.Close(); err != nil {
		t.Fatal(err)
	}
	send(t, fromA, fromB, 3)
	if got := receive(t, fromB, 0); len(got) != 0 {
		t.Errorf("b got %v without a program on its device: not by the switch", got)
	}
	if err := errors.Join(a.SetFaults(ToNode, Faults{Loss: 1}), passA.Close()); !errors.Is(err, errSwitched) {
		t.Errorf("SetFaults() = %v, want %v", err, errSwitched)
	}
	if err := a.Cut(ToNode); !errors.Is(err, errSwitched) {
		t.Errorf("Cut() = %v, want %v", err, errSwitched)
	}
}
