// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"fmt"
	"slices"
	"testing"
)

// TestEverythingHasItsName: each has a name that no other of its kind has, and what is
// beyond them shows its number.
func TestEverythingHasItsName(t *testing.T) {
	for kind, of := range map[string]struct {
		name   func(int) string
		number int
	}{
		"reason":  {func(i int) string { return Reason(i).String() }, int(reasonCount)},
		"refusal": {func(i int) string { return Refusal(i).String() }, int(refusalCount)},
		"verdict": {func(i int) string { return Verdict(i).String() }, int(Multicast) + 1},
		"result":  {func(i int) string { return Result(i).String() }, int(Unknown) + 1},
	} {
		var names []string
		for i := range of.number {
			name := of.name(i)
			if name == "" || slices.Contains(names, name) || name == fmt.Sprint(i) {
				t.Errorf("%s %d has the name %q", kind, i, name)
			}
			names = append(names, name)
		}
		for _, beyond := range []int{of.number, of.number + 1} {
			func() {
				defer func() {
					if r := recover(); r != nil {
						t.Errorf("%s %d has no name, and panics: %v", kind, beyond, r)
					}
				}()
				if name := of.name(beyond); name == "" || slices.Contains(names, name) {
					t.Errorf("%s %d, which there is not, has the name %q", kind, beyond, name)
				}
			}()
		}
	}
}

func TestListsAreWhole(t *testing.T) {
	reasons, refusals := Reasons(), Refusals()
	if len(reasons) != int(reasonCount)-1 || reasons[0] != BadLength || reasons[len(reasons)-1] != Internal {
		t.Errorf("the reasons are %v", reasons)
	}
	if len(refusals) != int(refusalCount)-1 || refusals[0] != RefusedEpoch || refusals[len(refusals)-1] != RefusedDigest {
		t.Errorf("the refusals are %v", refusals)
	}
}
