// SPDX-License-Identifier: Apache-2.0

// Package namespace has tests in namespaces of their own. These belong to the calling
// goroutine's thread alone, have no names, and go away with that thread when the test ends.
package namespace

import (
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// EnterNetwork enters a new network namespace.
func EnterNetwork(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("make a network namespace (needs root): %v", err)
	}
}

// Up brings a device of the network namespace up, and returns its number.
func Up(t *testing.T, name string) int {
	t.Helper()
	device, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(device)
	}
	if err != nil {
		t.Fatalf("bring %s up: %v", name, err)
	}
	return device.Attrs().Index
}

// MountBPF enters a new mount namespace, after EnterNetwork, and mounts a file system for
// pins there, in the folder that it returns.
func MountBPF(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, err := range []error{
		unix.Unshare(unix.CLONE_NEWNS),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("bpf", dir, "bpf", 0, ""),
	} {
		if err != nil {
			t.Fatalf("mount a file system for pins (needs root): %v", err)
		}
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount the pins: %v", err)
		}
	})
	return dir
}
