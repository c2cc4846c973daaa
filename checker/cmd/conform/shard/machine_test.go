// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"os"
	"testing"

	"dalio/checker/conform/edges"
	"dalio/spec/cfg"
	"dalio/spec/tla"
)

// TestReach has the code find by itself the states of the model settled, as many
// as TLC finds (spec/conform/manifest.json).
func TestReach(t *testing.T) {
	text, err := os.ReadFile("../../../../spec/conform/settled.cfg")
	if err != nil {
		t.Fatal(err)
	}
	c, err := cfg.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	calls, err := tla.Parse(`(a :> <<{[op |-> "write", key |-> "k", value |-> "a"]}, {[op |-> "write", key |-> "k", value |-> Absent]}>>)`)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(c, calls)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := edges.Reach(m); err != nil || n != 357 {
		t.Errorf("%d states are reached, want 357: %v", n, err)
	}
}

func TestCuresMustBeOn(t *testing.T) {
	if _, err := New(cfg.Config{Constants: map[string]string{"FenceFirst": "= FALSE"}}, nil); err == nil {
		t.Error("a model without FenceFirst is taken for one that the code conforms to")
	}
}
