// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKilledReplica: the shard goes on without it, and with it again when it has
// been started again.
func TestKilledReplica(t *testing.T) {
	s := startUp(t)
	expect(t, 0, "", "", "put", "--dir", s.dir, "k", "before")
	state := s.state()
	if err := syscall.Kill(state.Replicas[2].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	expect(t, 0, "", "", "put", "--dir", s.dir, "k", "after")
	expect(t, 0, "after", "", "get", "--dir", s.dir, "k")
	s.await("three members, one of them new", func() bool {
		status := s.status()
		return status.Config.InSync() == 3 && status.Config.Generation > 1
	})
	for range 4 { // More reads than replicas: each of them answers.
		expect(t, 0, "after", "", "get", "--dir", s.dir, "k")
	}
	s.await("another process in the state file", func() bool {
		r := s.state().Replicas[2]
		return r.PID != state.Replicas[2].PID && r.ID > 18
	})
	state = s.state()
	s.end(os.Interrupt)
	if !strings.Contains(s.out.String(), "replica2 was started again") || s.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("dalio up ended with %d and said %q", s.cmd.ProcessState.ExitCode(), s.out.String())
	}
	s.expectNothingLeft(state)
}

// await waits until something is so.
func (s *shardUp) await(what string, is func() bool) {
	s.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("%s: not within %v; %+v", what, patience, s.status())
		}
	}
}

// TestKilledCoordinator: its data plane goes on by itself, and the next process
// goes on with that.
func TestKilledCoordinator(t *testing.T) {
	s := startUp(t)
	expect(t, 0, "", "", "put", "--dir", s.dir, "k", "before")
	killed := s.state().Coordinator.PID
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, killed)
	expect(t, 0, "before", "", "get", "--dir", s.dir, "k")
	expect(t, 0, "", "", "put", "--dir", s.dir, "k", "after")
	expect(t, 0, "after", "", "get", "--dir", s.dir, "k")
	s.await("its successor", func() bool { return s.state().Coordinator.PID != killed && isActive(ptr(s.status())) })
	if status := s.status(); status.Epoch != 1 || status.Config.InSync() != 3 {
		t.Errorf("status %+v", status)
	}
	expect(t, 0, "after", "", "get", "--dir", s.dir, "k")
}

func ptr[T any](v T) *T { return &v }

// TestTooFewReplicas: with one member left the shard takes no writes, says what to
// do, and lets itself be read; it takes them when it is told that one is enough.
func TestTooFewReplicas(t *testing.T) {
	s := startUp(t, "--replicas", "2", "--restart", "0s")
	expect(t, 0, "", "", "put", "--dir", s.dir, "k", "before")
	if err := syscall.Kill(s.state().Replicas[1].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.await("one member", func() bool { return s.status().Config.InSync() == 1 })
	// A quarter of the time is for asking why, of a coordinator on a machine that may be busy.
	const timeout = 4 * time.Second
	r := dalio(t, "put", "--dir", s.dir, "--timeout", timeout.String(), "k", "meanwhile")
	if r.status != 3 && r.status != 4 || r.took > timeout+slack {
		t.Errorf("a write with one member: status %d after %v", r.status, r.took)
	}
	for _, said := range []string{"too few replicas for new writes", "1 of its 2 replicas are in sync", "takes writes with 2", "dalio member add"} {
		if !strings.Contains(r.errors, said) {
			t.Errorf("a write with one member says %q, and not %q", r.errors, said)
		}
	}
	if got := dalio(t, "get", "--dir", s.dir, "k"); got.status != 0 {
		t.Errorf("a read with one member: %+v", got)
	}
	expect(t, 4, "", "add replicas first", "member", "least", "--dir", s.dir, "3")
	expect(t, 2, "", "want 1 to 16", "member", "least", "--dir", s.dir, "0")
	expect(t, 0, "", "", "member", "least", "--dir", s.dir, "1")
	expect(t, 0, "", "", "put", "--dir", s.dir, "k", "with one")
	expect(t, 0, "with one", "", "get", "--dir", s.dir, "k")
}

// TestKilledReplicaAndLostCoordinator: a replica is killed, and the coordinator's
// host is lost, its process and its link; put and get go on.
func TestKilledReplicaAndLostCoordinator(t *testing.T) {
	s := startUp(t)
	expect(t, 0, "", "", "put", "--dir", s.dir, "k", "before")
	state := s.state()
	if err := syscall.Kill(state.Replicas[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	expect(t, 0, "", "", "put", "--dir", s.dir, "k", "without a replica")
	lost := state.Coordinator
	if out, err := exec.Command("ip", "-n", lost.NetNS, "link", "set", lost.Dev, "down").CombinedOutput(); err != nil {
		t.Fatalf("take the link down: %v: %s", err, out)
	}
	if err := syscall.Kill(lost.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	expect(t, 0, "without a replica", "", "get", "--dir", s.dir, "k")
	expect(t, 0, "", "", "put", "--dir", s.dir, "k", "without both")
	expect(t, 0, "without both", "", "get", "--dir", s.dir, "k")
	s.await("three members of another coordinator", func() bool {
		status := s.status()
		return status.Name == "standby1" && status.Epoch > 1 && status.Config.InSync() == 3
	})
	expect(t, 0, "without both", "", "get", "--dir", s.dir, "k")
}

// TestOperator has the members changed and the coordinator replaced by commands.
func TestOperator(t *testing.T) {
	s := startUp(t)
	run := func(args ...string) result {
		t.Helper()
		return expect(t, 0, "", "", append(args, "--dir", s.dir)...)
	}
	expect(t, 0, "", "", "put", "--dir", s.dir, "k", "v")
	run("member", "drain", "16")
	if status := s.status(); status.Config.InSync() != 2 || len(status.Config.Replicas) != 3 {
		t.Errorf("drained: %+v", status.Config)
	}
	run("member", "add", "10.77.0.11:7411")
	run("failover")
	if status := s.status(); status.Name != "standby1" || status.Epoch != 2 || status.Config.InSync() != 3 {
		t.Errorf("after the failover: %+v, %+v", status, status.Config)
	}
	expect(t, 0, "v", "", "get", "--dir", s.dir, "k")
	s.await("the other one in the state file", func() bool { return s.state().Coordinator.Address == "10.77.0.2:7411" })
	run("member", "remove", "10.77.0.12:7411")
	expect(t, 4, "", "dalio member least 1", "member", "remove", "--dir", s.dir, "10.77.0.13:7411")
	run("member", "least", "1")
	run("member", "remove", "10.77.0.13:7411")
	expect(t, 4, "", "no replica would be in sync", "member", "remove", "--dir", s.dir, "10.77.0.11:7411")
	expect(t, 4, "", "does not belong to the shard", "member", "drain", "--dir", s.dir, "10.77.0.99:7411")
	expect(t, 2, "", "want IP:PORT", "member", "add", "--dir", s.dir, "nowhere")
	expect(t, 0, "v", "", "get", "--dir", s.dir, "k")
	list := dalio(t, "member", "list", "--dir", s.dir)
	if list.status != 0 || !strings.Contains(list.out, "10.77.0.11:7411") || !strings.Contains(list.out, "serving") || strings.Contains(list.out, "10.77.0.12") {
		t.Errorf("the list: %+v", list)
	}
	text := dalio(t, "status", "--dir", s.dir)
	for _, want := range []string{"standby1", "an operator asked for it", "RECOVERED FROM"} {
		if !strings.Contains(text.out, want) {
			t.Errorf("the status for people lacks %q:\n%s", want, text.out)
		}
	}
}
