// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dalio/impl/client"
	"dalio/impl/fabric"
)

const patience = 10 * time.Second

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

func readState(t *testing.T, dir string) state {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, StateFile))
	if err != nil {
		t.Fatal(err)
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// stopped says whether all threads of a process have stopped: each goes on until it
// notices the signal.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("threads of process %d: %v, %v", pid, threads, err)
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			return false // It has just ended.
		}
		// The state follows the command, which is in brackets.
		if _, state, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

func TestStoppedReplicaDelaysAWrite(t *testing.T) {
	c := startShard(t, 2)
	cl := dial(t, c)
	if err := c.Replicas[0].Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the replica to stop", func() bool { return stopped(t, c.Replicas[0].PID) })
	put := make(chan error, 1)
	go func() { put <- cl.Put(t.Context(), "k", []byte("v")) }()
	select {
	case err := <-put:
		t.Fatalf("a write ended while a replica was stopped: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := c.Replicas[0].Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-put:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Errorf("the write did not end within %v of the replica's going on", patience)
	}
}

func TestRestart(t *testing.T) {
	c := startShard(t, 2)
	var pids []int
	for _, old := range []*Process{c.Replicas[1], c.Coordinator} {
		renewed, err := c.Restart(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		if old.Running() || !renewed.Running() || renewed.PID == old.PID || renewed.Node != old.Node {
			t.Errorf("%s: process %d gave way to %d", old.Name, old.PID, renewed.PID)
		}
		pids = append(pids, renewed.PID)
	}
	s := readState(t, c.dir)
	if s.Replicas[1].PID != pids[0] || s.Coordinator.PID != pids[1] {
		t.Errorf("the state file does not name the processes %v: %+v", pids, s)
	}
	if err := dial(t, c).Put(t.Context(), "k", []byte("v")); err != nil {
		t.Errorf("put after restarts: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Restart(t.Context(), c.Coordinator); !errors.Is(err, fabric.ErrClosed) {
		t.Errorf("a closed shard restarted a process: %v", err)
	}
}

func TestTwoShardsAtATime(t *testing.T) {
	first, second := startShard(t, 1), startShard(t, 1)
	mine, yours := dial(t, first), dial(t, second)
	if err := mine.Put(t.Context(), "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	if _, err := yours.Get(t.Context(), "k"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("one shard answered for the other: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := yours.Put(t.Context(), "k", []byte("v")); err != nil {
		t.Errorf("put after the other shard's end: %v", err)
	}
}

// TestKilledOwner kills the whole command at once, and starts another shard in
// the folder it leaves behind.
func TestKilledOwner(t *testing.T) {
	dir := t.TempDir()
	up := exec.Command(executable, "up", "--dir", dir, "--replicas", "1", "--sessions", "64")
	up.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("dalio up said nothing: %v", err)
	}
	left := readState(t, dir)
	if err := up.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// It was killed, so there is no status to check.
	_ = up.Wait()
	for _, pid := range []int{left.Coordinator.PID, left.Replicas[0].PID} {
		waitFor(t, "a child of the killed command to die", func() bool {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || strings.Contains(string(stat), ") Z ")
		})
	}
	c, err := Start(t.Context(), Options{Dir: dir, Replicas: 1, Executable: executable, Sessions: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if s := readState(t, dir); s.Coordinator.PID != c.Coordinator.PID {
		t.Errorf("the state file is the dead shard's: %+v", s)
	}
	if _, err := os.Lstat(filepath.Join("/run/netns", left.Coordinator.NetNS)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead shard's namespace still has its name: %v", err)
	}
}

// script writes a command to start in place of dalio.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dalio")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCancelEndsProcessesInGoodOrder starts a shard in the folder of an earlier
// one, whose state and logs must not be taken for its own.
func TestCancelEndsProcessesInGoodOrder(t *testing.T) {
	dir := t.TempDir()
	command := script(t, fmt.Sprintf(`
[ ! -e %s ] || exit 1
trap 'echo "$1 ends"; exit' TERM
echo '{"ready":true}'
echo "$1 chatters"
while :; do sleep 0.02; done`, filepath.Join(dir, StateFile)))
	logs := map[string]string{"replica0": "replica", "coordinator": "coordinator"}
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{StateFile, "logs/replica0.log", "logs/coordinator.log"} {
		if err := os.WriteFile(filepath.Join(dir, old), []byte("old\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	awaitLogs := func(format string) {
		t.Helper()
		for log, role := range logs {
			waitFor(t, "the log of "+log, func() bool {
				b, err := os.ReadFile(filepath.Join(dir, "logs", log+".log"))
				return err == nil && string(b) == strings.ReplaceAll(format, "ROLE", role)
			})
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, err := Start(ctx, Options{Dir: dir, Replicas: 1, Executable: command})
	if err != nil {
		t.Fatal(err)
	}
	awaitLogs("ROLE chatters\n")
	cancel()
	waitFor(t, "the processes to end", func() bool { return !c.Coordinator.Running() && !c.Replicas[0].Running() })
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	awaitLogs("ROLE chatters\nROLE ends\n")
}

// TestUnreadyChild covers what a child may do instead of becoming ready.
func TestUnreadyChild(t *testing.T) {
	for what, body := range map[string]string{
		"some complaint": "echo some complaint >&2; exit 1",
		`it said "hello`: "echo hello; exec sleep 1000",
		"it ended":       "exit 0",
		"deadline":       "exec sleep 1000",
	} {
		t.Run(what, func(t *testing.T) {
			limit := readyTimeout
			if what == "deadline" {
				limit = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			dir := t.TempDir()
			stale := filepath.Join(dir, StateFile)
			if err := os.WriteFile(stale, []byte(`{"ready":true}`), 0o644); err != nil {
				t.Fatal(err)
			}
			c, err := Start(ctx, Options{Dir: dir, Replicas: 1, Executable: script(t, body)})
			if err == nil {
				c.Close()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), what) {
				t.Errorf("the error does not say %q: %v", what, err)
			}
			if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
				t.Error("an old state file tells of a shard that did not start")
			}
		})
	}
}
