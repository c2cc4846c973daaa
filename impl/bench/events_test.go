// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEventsAreTold has the coordinator tell of each frame that it got.
func TestEventsAreTold(t *testing.T) {
	_, running, around := newScene(t, testSettings(t), Dalio{Empty: programs.Empty})
	mustComplete(t, around, mixed, 20_000)
	told, err := running.(*telling).told()
	if c := mustCount(t, around); err != nil || told != c.Out {
		t.Errorf("%d events told of %d frames, %v", told, c.Out, err)
	}
}

// TestLostEventsAreNoticed has nobody throw them away.
func TestLostEventsAreNoticed(t *testing.T) {
	site, err := NewSite(testSettings(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Close)
	running, err := Dalio{Empty: programs.Empty}.Start(site)
	if err != nil {
		t.Fatal(err)
	}
	if err := running.(*telling).empty.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	around, err := Surround(site, Versions)
	if err != nil {
		t.Fatal(err)
	}
	err = around.Start(mixed, 10*time.Second)
	if err == nil {
		err = around.awaitOperations(context.Background(), 250_000)
	}
	if err = errors.Join(err, around.Close()); err != nil {
		t.Error(err)
	}
	if err := running.Close(); !errors.Is(err, ErrEventsLost) {
		t.Errorf("Close() = %v, want %v", err, ErrEventsLost)
	}
}
