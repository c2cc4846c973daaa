// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

// FuzzOutput reads what TLC might print: nothing may make it panic, and nothing that
// has an error in it is taken for a success.
func FuzzOutput(f *testing.F) {
	f.Add("Model checking completed. No error has been found.\n12 states generated, 7 distinct states found, 0 states left on queue.\nThe depth of the complete state graph search is 3.\n")
	f.Add("Error: Invariant Safe is violated.\nError: The behavior up to this point is:\nState 1: <Init>\n/\\ calls = (c1 :> [status |-> \"idle\", op |-> \"none\", key |-> None, value |-> None])\n")
	f.Add("99,999,999,999,999,999,999 states generated, 1 distinct states found, 0 states left on queue.")
	f.Fuzz(func(t *testing.T, text string) {
		out, err := parseOutput(text, modules{})
		if err == nil && strings.Contains("\n"+text, "\nError: Invariant") && len(out.Errors) == 0 {
			t.Errorf("no error is found in %q", text)
		}
		if states, err := parseCalls(text); err == nil && len(states) == 0 {
			t.Errorf("a counterexample without states is found in %q", text)
		}
	})
}
