// SPDX-License-Identifier: Apache-2.0

package cfg

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// FuzzConfig reads configurations: what is understood can be written and is then
// understood as the same.
func FuzzConfig(f *testing.F) {
	f.Add("SPECIFICATION Spec\nCONSTANTS\n  Gate = TRUE \\* why\n  Wanted <- TwoWrites\nINVARIANT Safe\nPROPERTY Live\n")
	f.Add("CONSTANTS\nA = {a, b}\nA = 1")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		var out strings.Builder
		for _, other := range c.Others {
			out.WriteString(other + "\n")
		}
		for _, p := range c.Properties {
			out.WriteString("INVARIANT " + p + "\n")
		}
		out.WriteString("CONSTANTS\n")
		for name, value := range c.Constants {
			out.WriteString(name + " " + value + "\n")
		}
		again, err := Parse(out.String())
		if err != nil || !maps.Equal(again.Constants, c.Constants) || !slices.Equal(again.Properties, c.Properties) || !slices.Equal(again.Others, c.Others) {
			t.Errorf("%q is understood as %+v, and that as %+v, %v", text, c, again, err)
		}
	})
}
