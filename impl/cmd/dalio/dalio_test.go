// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dalio/impl/coordinator"
)

// asDalio makes the test program be the dalio command, so that the tests run the
// command as a user does, and it can run itself.
const asDalio = "DALIO_TEST_IS_DALIO"

// patience bounds every wait for something that ought to happen.
const patience = 30 * time.Second

// slack is what a busy machine may add to the time that a command should take.
const slack = 5 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(asDalio) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
		stop()
		os.Exit(status)
	}
	os.Exit(m.Run())
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	// The race detector would have every program sleep for a second at its end.
	cmd.Env = append(os.Environ(), asDalio+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// result is what a command that has ended left.
type result struct {
	status      int
	out, errors string
	took        time.Duration
}

func dalio(t *testing.T, args ...string) result {
	t.Helper()
	cmd := command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), time.Since(start)}
}

// expect runs a command and compares its exit status and output, which may be
// followed by a line end; said is part of what it says on standard error.
func expect(t *testing.T, status int, out, said string, args ...string) result {
	t.Helper()
	r := dalio(t, args...)
	if r.status != status || strings.TrimSuffix(r.out, "\n") != out || !strings.Contains(r.errors, said) {
		t.Errorf("dalio %s: status %d, output %q, said %q; want status %d, output %q, and %q said",
			strings.Join(args, " "), r.status, r.out, r.errors, status, out, said)
	}
	return r
}

// shardUp is a running `dalio up`.
type shardUp struct {
	*testing.T
	dir  string
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan struct{}
}

func startUp(t *testing.T, args ...string) *shardUp {
	t.Helper()
	return startUpIn(t, t.TempDir(), args...)
}

// startUpIn is startUp in a folder in which there may have been a shard.
func startUpIn(t *testing.T, dir string, args ...string) *shardUp {
	t.Helper()
	_ = os.Remove(filepath.Join(dir, "state.json")) // That of a shard that was killed.
	s := &shardUp{T: t, dir: dir, done: make(chan struct{})}
	s.cmd = command(append([]string{"up", "--dir", s.dir}, args...)...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.cmd.Wait(); close(s.done) }()
	t.Cleanup(func() { s.end(syscall.SIGKILL) })
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(s.dir, "state.json")); err == nil {
			return s
		}
		select {
		case <-s.done:
			t.Fatalf("dalio up ended: %s", s.out.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("no state file within %v", patience)
		}
	}
}

// end signals the command and waits for it; its output may be read then.
func (s *shardUp) end(signal os.Signal) {
	s.Helper()
	_ = s.cmd.Process.Signal(signal) // It may have ended already.
	select {
	case <-s.done:
	case <-time.After(patience):
		s.Fatalf("dalio up did not end on %v", signal)
	}
}

// stateFile is the part of the contract that others rely on.
type stateFile struct {
	Ready       bool
	Coordinator struct {
		PID                 int
		NetNS, Dev, Address string
	}
	Coordinators []struct {
		PID            int
		NetNS, Address string
	}
	Etcd struct {
		PID      int
		Endpoint string
	}
	Replicas []struct {
		ID, PID        int
		NetNS, Address string
	}
	Client struct{ NetNS, Address string }
}

func (s *shardUp) state() stateFile {
	s.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, "state.json"))
	if err != nil {
		s.Fatal(err)
	}
	var state stateFile
	if err := json.Unmarshal(data, &state); err != nil {
		s.Fatal(err)
	}
	return state
}

func (s *shardUp) status() coordinator.Status {
	s.Helper()
	var status coordinator.Status
	r := dalio(s.T, "status", "--dir", s.dir, "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &status); r.status != 0 || err != nil {
		s.Fatalf("status ended with %d, %q, %q, %v", r.status, r.out, r.errors, err)
	}
	return status
}

func TestShardFromUpToCtrlC(t *testing.T) {
	s := startUp(t)
	expect(t, 0, "", "", "put", "--dir", s.dir, "greeting", "hello world")
	expect(t, 0, "hello world", "", "get", "--dir", s.dir, "greeting")
	expect(t, 1, "", "key not found", "get", "--dir", s.dir, "nothing")
	expect(t, 0, "", "", "delete", "--dir", s.dir, "greeting")
	expect(t, 1, "", "key not found", "get", "--dir", s.dir, "greeting")
	expect(t, 0, "", "", "delete", "--dir", s.dir, "greeting")
	expect(t, 2, "", "key or value too large", "put", "--dir", s.dir, "key", strings.Repeat("x", 1500))
	expect(t, 2, "", "another dalio up", "up", "--dir", s.dir)

	status := s.status()
	if status.Epoch != 1 || len(status.Members) != 3 || status.PendingCount != 0 || status.Activities["commits"] != 3 {
		t.Errorf("status %+v", status)
	}
	text := dalio(t, "status", "--dir", s.dir)
	for _, want := range []string{"epoch 1", "pending writes: 0", "dropped frames: acknowledged", "10.77.0.11:7411"} {
		if !strings.Contains(text.out, want) {
			t.Errorf("the status for people lacks %q:\n%s", want, text.out)
		}
	}
	state := s.state()
	if !state.Ready || state.Coordinator.Dev == "" || len(state.Replicas) != 3 || state.Client.NetNS == "" {
		t.Errorf("state %+v", state)
	}
	s.end(os.Interrupt)
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("dalio up ended with %d: %s", code, s.out.String())
	}
	s.expectNothingLeft(state)
	expect(t, 2, "", "start one with: dalio up", "get", "--dir", s.dir, "greeting")
}

// expectNothingLeft: no process, no namespace, no state.
func (s *shardUp) expectNothingLeft(state stateFile) {
	s.Helper()
	pids := []int{state.Coordinator.PID}
	names := []string{state.Coordinator.NetNS, state.Client.NetNS}
	for _, r := range state.Replicas {
		pids, names = append(pids, r.PID), append(names, r.NetNS)
	}
	for _, c := range state.Coordinators {
		pids, names = append(pids, c.PID), append(names, c.NetNS)
	}
	if state.Etcd.PID != 0 {
		pids = append(pids, state.Etcd.PID)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			s.Errorf("process %d is left: %v", pid, err)
		}
	}
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join("/run/netns", name)); !os.IsNotExist(err) {
			s.Errorf("namespace %s is left: %v", name, err)
		}
	}
	for _, name := range []string{"state.json", "coordinator.sock", "standby1.sock", "etcd"} {
		if _, err := os.Stat(filepath.Join(s.dir, name)); !os.IsNotExist(err) {
			s.Errorf("%s is left: %v", name, err)
		}
	}
}

// fixed has dalio up start a shard whose members never change.
var fixed = []string{"--coordinators", "0", "--restart", "0"}

func TestKilledReplicaOfAFixedShard(t *testing.T) {
	s := startUp(t, fixed...)
	expect(t, 0, "", "", "put", "--dir", s.dir, "k", "before")
	state := s.state()
	victim := state.Replicas[2]
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r := expect(t, 3, "", "replica 18 has not acknowledged for", "put", "--dir", s.dir, "--timeout", "4s", "k", "after")
	if r.took > 4*time.Second+slack || !strings.Contains(r.errors, "unknown outcome after") {
		t.Errorf("it took %v and said %q", r.took, r.errors)
	}
	// The value before is still committed, but no replica that is up may show it.
	expect(t, 4, "", "an earlier write of the key waits for replica 18", "get", "--dir", s.dir, "--timeout", "4s", "k")
	if status := s.status(); status.PendingCount != 1 || status.Members[2].Unacknowledged != 1 {
		t.Errorf("status %+v", status)
	}
	// Reads of other keys go on, by way of the replicas that answer.
	expect(t, 1, "", "", "get", "--dir", s.dir, "other")
	s.end(os.Interrupt)
	if !strings.Contains(s.out.String(), "replica2") || s.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("dalio up ended with %d and said %q", s.cmd.ProcessState.ExitCode(), s.out.String())
	}
	s.expectNothingLeft(state)
}

func TestKilledCoordinatorOfAFixedShard(t *testing.T) {
	s := startUp(t, append(fixed, "--replicas", "1")...)
	expect(t, 0, "", "", "put", "--dir", s.dir, "k", "v")
	if err := syscall.Kill(s.state().Coordinator.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// The data plane serves until the process that holds it is gone.
	awaitEnd(t, s.state().Coordinator.PID)
	for _, args := range [][]string{{"put", "k", "v"}, {"get", "k"}, {"delete", "k"}} {
		r := expect(t, 4, "", "does not say why", append(args, "--dir", s.dir, "--timeout", "500ms")...)
		if r.took > 500*time.Millisecond+slack {
			t.Errorf("%v took %v", args, r.took)
		}
	}
	expect(t, 4, "", "ask the coordinator for its status", "status", "--dir", s.dir)
}

// awaitEnd waits until there is no process of that id any more.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(patience); !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d has not ended", pid)
		}
	}
}

// TestKilledUp: the shard ends with the command, even if that has no time to see
// to it, and its folder can be used again.
func TestKilledUp(t *testing.T) {
	s := startUp(t, "--replicas", "1")
	state := s.state()
	s.end(syscall.SIGKILL)
	awaitEnd(t, state.Coordinator.PID)
	expect(t, 2, "", "does dalio up", "get", "--dir", s.dir, "k")
	again := command("up", "--dir", s.dir, "--replicas", "1")
	output, err := again.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 11)
	if _, err := io.ReadFull(output, line); err != nil || string(line) != "shard ready" {
		t.Errorf("a second dalio up said %q, %v", line, err)
	}
	_ = again.Process.Signal(syscall.SIGTERM)
	_, _ = io.Copy(io.Discard, output)
	if err := again.Wait(); err != nil {
		t.Error(err)
	}
}
