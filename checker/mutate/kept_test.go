// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestKept: what is kept is found again, but for what was late and the line that was
// being written when the run ended; and nothing when what judges has changed.
func TestKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outcomes.jsonl")
	reopen := func(digest string, outcomes, originals int) *kept {
		t.Helper()
		k, err := openKept(path, digest)
		if err != nil {
			t.Fatal(err)
		}
		if len(k.outcomes) != outcomes || len(k.originals) != originals {
			t.Errorf("of %s are kept %v and %v, want %d and %d", digest, k.outcomes, k.originals, outcomes, originals)
		}
		return k
	}
	k := reopen("a", 0, 0)
	for _, l := range []line{
		{Original: &original{Tests: "TestX", Took: 3, Reached: []byte{0, 1}}},
		{Outcome: &outcome{Name: "m1", State: killed, By: "p.TestX"}},
		{Outcome: &outcome{Name: "m2", State: late}},
	} {
		if err := k.keep(l); err != nil {
			t.Fatal(err)
		}
	}
	k.close()
	k = reopen("a", 1, 1)
	if o, ok := k.outcome("m1"); !ok || o.State != killed || o.By != "p.TestX" {
		t.Errorf("m1 is %+v", o)
	}
	if b, ok := k.original("TestX"); !ok || b.Took != 3 || string(b.Reached) != "\x00\x01" {
		t.Errorf("TestX is %+v", b)
	}
	if err := k.keep(line{Outcome: &outcome{Name: "m3", State: lived}}); err != nil {
		t.Fatal(err)
	}
	k.close()
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, content[:len(content)-2], 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	k = reopen("a", 1, 1)
	if err := k.keep(line{Outcome: &outcome{Name: "m4", State: lived}}); err != nil {
		t.Fatal(err)
	}
	k.close()
	reopen("a", 2, 1).close()
	reopen("b", 0, 0).close()
	reopen("a", 0, 0).close()
}
