// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// nameDir is where ip-netns(8) looks for namespaces.
const nameDir = "/run/netns"

// Namespace is a network namespace held open by this process.
type Namespace struct {
	name   string
	handle netns.NsHandle
}

// OpenNamespace opens a namespace by the name that ip-netns(8) lists.
func OpenNamespace(name string) (*Namespace, error) {
	handle, err := netns.GetFromName(name)
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", name, err)
	}
	return &Namespace{name: name, handle: handle}, nil
}

// createNamespace makes a namespace and names it. The name is a symbolic link
// to the descriptor, not a mount, so that the namespace cannot outlive us.
func createNamespace(name string) (*Namespace, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	home, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("open current network namespace: %w", err)
	}
	defer home.Close()
	handle, err := netns.New()
	if err != nil {
		return nil, fmt.Errorf("create network namespace %s: %w (are you root?)", name, err)
	}
	goHome(home)

	if err := os.MkdirAll(nameDir, 0o755); err != nil {
		return nil, errors.Join(fmt.Errorf("name network namespace: %w", err), handle.Close())
	}
	target := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(handle))
	if err := os.Symlink(target, filepath.Join(nameDir, name)); err != nil {
		return nil, errors.Join(fmt.Errorf("name network namespace: %w", err), handle.Close())
	}
	return &Namespace{name: name, handle: handle}, nil
}

// goHome leaves a namespace. A thread that cannot leave would run unrelated
// goroutines in the wrong network, so there is no way to go on.
func goHome(home netns.NsHandle) {
	if err := netns.Set(home); err != nil {
		panic(fmt.Sprintf("fabric: return to network namespace: %v", err))
	}
}

// Name is the name that ip-netns(8) lists.
func (n *Namespace) Name() string { return n.name }

// Do runs fn inside the namespace, on the calling goroutine. What fn opens
// stays in the namespace; goroutines that fn starts do not.
func (n *Namespace) Do(fn func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	home, err := netns.Get()
	if err != nil {
		return fmt.Errorf("open current network namespace: %w", err)
	}
	defer home.Close()
	if err := netns.Set(n.handle); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", n.name, err)
	}
	defer goHome(home)
	return fn()
}

// Close lets go of the namespace. It lives on while a process is in it or
// somebody else holds it open.
func (n *Namespace) Close() error {
	if !n.handle.IsOpen() {
		return nil
	}
	return n.handle.Close()
}

// removeName removes the name of a namespace, if it is still there.
func removeName(name string) error {
	if err := os.Remove(filepath.Join(nameDir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove network namespace name: %w", err)
	}
	return nil
}

// setSysctl writes a network setting of the namespace the caller is in. A
// setting that this kernel lacks needs no changing.
func setSysctl(name, value string) error {
	err := os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("set sysctl: %w", err)
	}
	return nil
}
