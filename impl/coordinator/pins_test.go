// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dalio/bpf"
)

// mountPins mounts a BPF file system in a folder, until the test ends.
func mountPins(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatalf("mount a BPF file system: %v (needs root)", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// die ends coordinator i as kill -9 does: whatever is in the kernel stays.
func (l *sharedLab) die(i int) {
	l.Helper()
	c := l.coordinators[i]
	c.close = func() error { return nil }
	l.ends[i]()
	c.manager.close()
	problems := []error{c.prober.close(), c.plane.data.(*bpf.DataPlane).Release()}
	for _, s := range c.servers {
		problems = append(problems, s.close())
	}
	c.network.close()
	if err := errors.Join(problems...); err != nil {
		l.Error(err)
	}
}

// TestControlPlaneIsReplaced: the data plane goes on without its control plane, and
// the next one goes on with it.
func TestControlPlaneIsReplaced(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir := mountPins(t)
	l := newSharedLab(t, 3)
	pinned := func(o *Options) { o.PinDir = dir }
	l.start(0, pinned)
	l.put("k", "before")
	l.die(0)
	l.expect("k", "before")
	l.put("k", "alone")
	// A replica dies while nobody looks.
	l.replicas[2].kill()
	c := l.start(0, pinned)
	l.put("k", "after")
	l.await("two members", l.whole(0, 2))
	if s := l.status(0); s.Epoch != 1 || s.Activities["commits"] < 3 {
		t.Errorf("epoch %d with %d commits: the data plane was not adopted", s.Epoch, s.Activities["commits"])
	}
	l.replicas[2].start(t)
	l.await("three members", l.whole(0, 3))
	l.expect("k", "after")
	l.ends[0]()
	if _, err := os.Stat(c.pinName()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an orderly end left pins: %v", err)
	}
}

// TestPinsOfAnEpochThatIsPast: a control plane that finds that it has been replaced
// lets go of what it left.
func TestPinsOfAnEpochThatIsPast(t *testing.T) {
	dir := mountPins(t)
	l := newSharedLab(t, 2)
	pinned := func(o *Options) { o.PinDir = filepath.Join(dir) }
	l.start(0, pinned)
	l.start(1, pinned, func(o *Options) { o.ControlTimeout = 500 * time.Millisecond })
	l.put("k", "before")
	l.die(0)
	l.await("the other one to take over", func() bool { return l.status(1).Role == RoleActive })
	l.put("k", "after")
	l.start(0, pinned)
	l.await("standing by", func() bool { s := l.status(0); return s.Role == RoleStandby && s.Epoch == 0 })
	l.expect("k", "after")
	if s := l.status(1); s.Epoch != 2 {
		t.Errorf("epoch %d", s.Epoch)
	}
}
