// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// ownerVariable makes the test binary own a rack instead of running tests,
// and names the way it is to end.
const ownerVariable = "DALIO_FABRIC_OWNER"

func TestMain(m *testing.M) {
	if end := os.Getenv(ownerVariable); end != "" {
		if err := own(end); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests build network namespaces: run them as root")
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// owned is what an owner tells about its rack.
type owned struct {
	ID    string
	Names []string
	Child int
}

// own builds a rack with a process in it, reports, and ends as told.
func own(end string) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	rack, err := New(ctx, Options{})
	if err != nil {
		return err
	}
	defer rack.Close()
	node, err := rack.AddNode("a", 1)
	if err != nil {
		return err
	}
	if err := node.SetFaults(ToNode, Faults{Loss: 0.5}); err != nil {
		return err
	}
	child := exec.Command("sleep", "1000")
	if err := node.Start(child); err != nil {
		return err
	}
	report := owned{ID: rack.ID(), Names: []string{rack.core.Name(), node.NetNS()}, Child: child.Process.Pid}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		return err
	}
	switch end {
	case "panic":
		panic("as the test wants")
	case "panic elsewhere":
		go panic("as the test wants")
	case "error":
		return errors.New("as the test wants")
	}
	<-ctx.Done()
	return nil
}

// startOwner starts an owner and waits until its rack stands.
func startOwner(t *testing.T, end string) (*exec.Cmd, owned) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(executable)
	cmd.Env = append(os.Environ(), ownerVariable+"="+end)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The process has usually ended by now, so errors say nothing.
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("read the owner's report: %v", err)
	}
	var report owned
	if err := json.Unmarshal(line, &report); err != nil {
		t.Fatalf("owner's report %q: %v", line, err)
	}
	return cmd, report
}

// names lists the namespaces' names that start with prefix.
func names(t *testing.T, prefix string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(nameDir, prefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// checkGone checks that neither name nor process nor lease is left.
func checkGone(t *testing.T, rack owned) {
	t.Helper()
	if left := names(t, rack.ID); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if _, err := os.Stat(leasePath(strings.TrimPrefix(rack.ID, namePrefix))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lease left over: %v", err)
	}
	waitFor(t, "the child to die", func() bool { return !alive(rack.Child) })
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// checkAlive checks that a rack still works.
func checkAlive(t *testing.T, rack owned) {
	t.Helper()
	for _, name := range rack.Names {
		if output, err := exec.Command("ip", "netns", "exec", name, "true").CombinedOutput(); err != nil {
			t.Errorf("namespace %s of a living owner: %v: %s", name, err, output)
		}
	}
	if !alive(rack.Child) {
		t.Error("the child of a living owner is dead")
	}
}

func TestOwnerCleansUp(t *testing.T) {
	for _, test := range []struct {
		end    string
		signal os.Signal
		status int
	}{
		{end: "signal", signal: unix.SIGTERM}, {end: "signal", signal: unix.SIGINT},
		{end: "panic", status: 2}, {end: "error", status: 1},
	} {
		t.Run(fmt.Sprint(test.end, test.signal), func(t *testing.T) {
			cmd, rack := startOwner(t, test.end)
			if test.signal != nil {
				checkAlive(t, rack)
				if err := cmd.Process.Signal(test.signal); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != test.status {
				t.Errorf("owner ended with %v, want status %d", err, test.status)
			}
			checkGone(t, rack)
		})
	}
}

// TestJanitor kills owners, and checks that Clean removes what is theirs and
// leaves alone the living and strangers.
func TestJanitor(t *testing.T) {
	killed, dead := startOwner(t, "signal")
	panicked, deadToo := startOwner(t, "panic elsewhere")
	_, living := startOwner(t, "signal")
	witness := plantWitness(t, dead.Names[1])
	stranger := dead.ID + "-1-stranger"
	run(t, "ip", "netns", "add", stranger)
	t.Cleanup(func() { run(t, "ip", "netns", "delete", stranger) })
	// A dead owner's name leads somewhere again when its process id and
	// descriptor are reused.
	reused := filepath.Join(nameDir, dead.ID+"-1-reused")
	foreign := filepath.Join(nameDir, "dalio-foreign")
	for _, path := range []string{reused, foreign} {
		if err := os.Symlink("/proc/self/ns/net", path); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(path) })
	}

	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// Both end by force, so there is no status to check.
	_ = killed.Wait()
	_ = panicked.Wait()
	waitFor(t, "the kernel to take the rack down", func() bool { return !witness() })
	if _, err := Clean(); err != nil {
		t.Fatal(err)
	}
	checkAlive(t, living)
	for _, name := range slices.Concat(dead.Names, deadToo.Names, []string{filepath.Base(reused)}) {
		if _, err := os.Lstat(filepath.Join(nameDir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s survives its owner: %v", name, err)
		}
	}
	run(t, "ip", "netns", "exec", stranger, "true")
	if _, err := os.Lstat(foreign); err != nil {
		t.Errorf("a name that still leads somewhere is gone: %v", err)
	}
	waitFor(t, "the children to die", func() bool { return !alive(dead.Child) && !alive(deadToo.Child) })
}

// TestDanglingNameWithoutLease removes what remains when the leases are lost.
func TestDanglingNameWithoutLease(t *testing.T) {
	name := "dalio-00000000-1-lost"
	if err := os.Symlink("/proc/1/fd/no", filepath.Join(nameDir, name)); err != nil {
		t.Fatal(err)
	}
	if _, err := Clean(); err != nil {
		t.Fatal(err)
	}
	if left := names(t, name); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if output, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v: %s", name, strings.Join(args, " "), err, output)
	}
}

// plantWitness puts one end of a veth into a namespace and keeps the other.
// The kernel destroys the pair with the namespace, so the returned function
// says whether the namespace exists, whatever its name does.
func plantWitness(t *testing.T, name string) func() bool {
	t.Helper()
	watched, err := OpenNamespace(name)
	if err != nil {
		t.Fatal(err)
	}
	defer watched.Close()
	tower, err := createNamespace(fmt.Sprintf("dalio-tower-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(removeName(tower.Name()), tower.Close()); err != nil {
			t.Error(err)
		}
	})
	err = tower.Do(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "witness"},
			PeerName:  "watched", PeerNamespace: netlink.NsFd(watched.handle),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() bool {
		return tower.Do(func() error {
			_, err := netlink.LinkByName("witness")
			return err
		}) == nil
	}
}

// TestCancelClosesRack covers the command that ends without closing.
func TestCancelClosesRack(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	rack, err := New(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(names(t, rack.ID())) != 1 {
		t.Errorf("the rack has names %v, want one", names(t, rack.ID()))
	}
	cancel()
	waitFor(t, "the rack to close", func() bool { return len(names(t, rack.ID())) == 0 })
	if err := rack.Close(); err != nil {
		t.Error(err)
	}
	if _, err := New(ctx, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a rack under a canceled context: %v", err)
	}
}

// TestChildRunsOnNode also guards the starting thread: a child must outlive
// whatever thread asked for it.
func TestChildRunsOnNode(t *testing.T) {
	rack := newRack(t, 1)
	node := addNode(t, rack, "a", 7)
	child := exec.Command("ip", "-br", "addr", "show", Device)
	var output strings.Builder
	child.Stdout = &output
	if err := node.Start(child); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err != nil || !strings.Contains(output.String(), "10.77.0.7/24") {
		t.Errorf("%v: %s", err, output.String())
	}

	lasting := exec.Command("sleep", "1000")
	started := make(chan error)
	go func() {
		// This goroutine ends locked, and takes its thread with it.
		runtime.LockOSThread()
		started <- node.Start(lasting)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	// Nothing tells that a thread has ended, so give it time.
	time.Sleep(50 * time.Millisecond)
	if !alive(lasting.Process.Pid) {
		t.Error("the child died with the thread of the caller")
	}
	if err := rack.Close(); err != nil {
		t.Error(err)
	}
	// Close killed it.
	_ = lasting.Wait()
}

func TestClockOfANode(t *testing.T) {
	node := addNode(t, newRack(t, 1), "a", 7)
	uptime := func() (s float64) {
		t.Helper()
		var out bytes.Buffer
		cmd := exec.Command("cat", "/proc/uptime")
		cmd.Stdout = &out
		if err := errors.Join(node.Start(cmd), cmd.Wait()); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(out.String(), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	here := uptime()
	for _, ahead := range []time.Duration{time.Hour, 24 * time.Hour, time.Minute} {
		node.SetClock(ahead)
		// Within one tick the two are the same, and their difference is rounded.
		if got := uptime() - here - ahead.Seconds(); got < -0.01 || got > 30 {
			t.Errorf("a clock that is to be %v ahead is off by %.1f s", ahead, got)
		}
	}
}
