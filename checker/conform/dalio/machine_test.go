// SPDX-License-Identifier: Apache-2.0

package dalio

import (
	"os"
	"testing"

	"dalio/checker/conform/edges"
	"dalio/spec/cfg"
	"dalio/spec/tla"
)

// TestReach has the code find by itself the states of the model none_serve, as many
// as TLC finds (spec/conform/manifest.json).
func TestReach(t *testing.T) {
	text, err := os.ReadFile("../../../spec/conform/none_serve.cfg")
	if err != nil {
		t.Fatal(err)
	}
	c, err := cfg.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	calls, err := tla.Parse(`[a |-> <<{[op |-> "write", key |-> "k", value |-> "a"]}>>, c |-> <<{[op |-> "read", key |-> "k", value |-> None]}>>]`)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(c, calls)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := edges.Reach(m); err != nil || n != 96 {
		t.Errorf("%d states are reached, want 96: %v", n, err)
	}
}

func TestCuresMustBeOn(t *testing.T) {
	if _, err := New(cfg.Config{Constants: map[string]string{"Gate": "= FALSE"}}, nil); err == nil {
		t.Error("a model without Gate is taken for one that the code conforms to")
	}
}
