// SPDX-License-Identifier: Apache-2.0

package replica_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"dalio/impl/replica"
	"dalio/impl/replica/control"
	"dalio/traces/event"
)

// trace is a file in memory.
type trace struct{ bytes.Buffer }

func (*trace) Close() error { return nil }

// TestStepsOfTheMembershipAreTold: each once, though it may be asked for again, and with
// what the replica is from then on; of one that is refused or changes nothing there is
// nothing to tell.
func TestStepsOfTheMembershipAreTold(t *testing.T) {
	source := newNode(t, nil)
	source.must(source.assign(16, 2))
	var file trace
	recorder := event.NewRecorder(&file, "replica", func() time.Duration { return 0 })
	n := newNodeWith(t, replica.Options{Events: recorder})
	for range 2 {
		n.must(n.assign(17, 2))
	}
	if p := n.catchUp(source, 0); p.State != control.Done {
		t.Fatalf("the catch-up: %+v", p)
	}
	for range 2 {
		n.must(n.fence(3))
	}
	if err := n.fence(2); err == nil {
		t.Error("fenced for an epoch that has been replaced")
	}
	for range 2 {
		n.must(n.api.Open(t.Context(), 3))
	}
	n.must(n.api.Expel(t.Context(), 16))
	for range 2 {
		n.must(n.api.Expel(t.Context(), 17))
	}
	n.must(n.api.Expel(t.Context(), 0))
	n.must(n.end())
	n.must(recorder.Close())
	events, err := event.Read(&file, "events")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		if e.Membership != nil {
			got = append(got, fmt.Sprintf("%s %d %d at %v from %q", e.Event, e.Epoch, e.Replica, e.Membership.At == n.address.String(), e.Membership.Source))
		}
	}
	want := []string{`Assigned 2 17 at true from ""`, fmt.Sprintf("CaughtUp 2 17 at true from %q", source.address), `Fenced 3 17 at true from ""`,
		`Opened 3 17 at true from ""`, `Expelled 3 17 at true from ""`}
	if !slices.Equal(got, want) {
		t.Errorf("told\n%q, want\n%q", got, want)
	}
}
