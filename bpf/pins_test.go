// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"dalio/bpf/internal/namespace"
	"dalio/protocol"
)

// pinOnly is set in the environment of a test binary that is to attach a data plane
// to devices, to pin it, and then to wait to be killed: "DIRECTORY IFINDEX...".
const pinOnly = "DALIO_TEST_PIN_ONLY"

func pinOptions(several bool) Options {
	return Options{Self: self, MaxSessions: testSlots, SessionTTL: testTTL, SeveralDevices: several}
}

// pinAndWait is what such a test binary does. It ends when nobody waits for it.
func pinAndWait(arguments string) error {
	words := strings.Fields(arguments)
	var devices []int
	for _, word := range words[1:] {
		ifindex, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		devices = append(devices, ifindex)
	}
	dp, err := Load(pinOptions(len(devices) > 1))
	if err != nil {
		return err
	}
	err = errors.Join(dp.Attach(devices...), dp.SetPaths([protocol.MaxMembers]int{1: devices[len(devices)-1]}),
		dp.Open(Epoch{Number: 1, Members: []protocol.Member{replica(0), replica(1)}}), dp.Pin(words[0]))
	if err != nil {
		return err
	}
	fmt.Println("pinned")
	// A data plane that nothing refers to is let go when garbage is collected, and the lock
	// on its pins with it.
	runtime.GC()
	_, err = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(dp)
	return err
}

// holder is a process that has a data plane pinned.
type holder struct {
	cmd   *exec.Cmd
	input io.Closer
}

// mountPins returns a folder for pins, not there yet, in a file system that goes away with
// the calling goroutine's thread. The kernel has files of its own at the top.
func mountPins(t *testing.T) string {
	t.Helper()
	return filepath.Join(namespace.MountBPF(t), "shard")
}

// hold starts a process that pins a data plane, and waits until it has.
func hold(t *testing.T, dir string, ifindexes ...int) *holder {
	t.Helper()
	h := &holder{cmd: exec.Command("/proc/self/exe")}
	words := strings.Trim(fmt.Sprint(ifindexes), "[]")
	h.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s", pinOnly, dir, words))
	h.cmd.Stderr = os.Stderr
	input, err := h.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.input = input
	t.Cleanup(h.kill)
	timer := time.AfterFunc(20*time.Second, func() { h.cmd.Process.Kill() })
	defer timer.Stop()
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "pinned\n" {
		t.Fatalf("the process that pins a data plane said %q: %v", line, err)
	}
	return h
}

// kill ends the process as kill -9 does, and waits for its end.
func (h *holder) kill() {
	if h.cmd.ProcessState == nil {
		h.cmd.Process.Kill()
		h.cmd.Wait()
		h.input.Close()
	}
}

// expectDetached waits until a device has no XDP program.
func expectDetached(t *testing.T, ifindex int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		device, err := netlink.LinkByIndex(ifindex)
		if err != nil {
			t.Fatal(err)
		}
		if xdp := device.Attrs().Xdp; xdp == nil || !xdp.Attached {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the device still has an XDP program")
		}
	}
}

// expectUnpinned checks that nothing is left of a data plane that was pinned.
func expectUnpinned(t *testing.T, dir string, ifindexes ...int) {
	t.Helper()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of the pins is still there: %v", err)
	}
	for _, ifindex := range ifindexes {
		expectDetached(t, ifindex)
	}
}

// expectError checks which of the named errors something was refused with.
func expectError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
