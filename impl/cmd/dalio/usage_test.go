// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dalio/impl/fabric"
)

func TestBadUsage(t *testing.T) {
	dir := t.TempDir()
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "state.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	unready := t.TempDir()
	if err := os.WriteFile(filepath.Join(unready, "state.json"), []byte(`{"ready":false}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		said string
		args string
	}{
		{"unknown command", "frobnicate"},
		{"unknown flag", "get --nonsense"},
		{"either --dir", "put k v"},
		{"either --dir", "get --dir " + dir + " --address 127.0.0.1:7411 k"},
		{"such as 10.0.0.1:7411", "get --address 127.0.0.1 k"},
		{"such as 10.0.0.1:7411", "put --address [::1]:7411 k v"},
		{"accepts 2 arg(s)", "put --dir " + dir + " k"},
		{"accepts 1 arg(s)", "get --dir " + dir},
		{"start one with: dalio up", "get --dir " + dir + " k"},
		{"is not the state of a shard that is ready: unexpected end", "get --dir " + broken + " k"},
		{"it does not say so", "get --dir " + unready + " k"},
		{"want a time above 0", "get --dir " + dir + " --timeout 0s k"},
		{"invalid argument", "get --dir " + dir + " --timeout soon k"},
		{"either --dir", "status"},
		{"either --dir", "status --dir " + dir + " --socket s"},
		{"want text or json", "status --dir " + dir + " -o yaml"},
		{"want 1 to 16", "up --dir " + dir + " --replicas 0"},
		{"want 1 to 16", "up --dir " + dir + " --replicas 17"},
		{"make the shard's folder", "up --dir /proc/none"},
		{`"listen" not set`, "replica --id 16"},
		{"--epoch without --id", "replica --listen 127.0.0.1:0 --epoch 2"},
		{"16 is the first", "replica --id 1 --listen 127.0.0.1:0"},
		{"IPv4 address and port", "replica --id 16 --listen nowhere"},
		{"invalid argument", "replica --id -1 --listen 127.0.0.1:0"},
		{`"dev", "listen" not set`, "coordinator"},
		{"give --etcd or --etcd-dir, or the fixed members", "coordinator --dev lo --listen 127.0.0.1:7411"},
		{"either --etcd or --etcd-dir", "coordinator --dev lo --listen 127.0.0.1:7411 --etcd http://127.0.0.1:1 --etcd-dir " + dir},
		{"ids are given out", "coordinator --dev lo --listen 127.0.0.1:7411 --etcd http://127.0.0.1:1 --replica 16=10.0.0.2:7411"},
		{"want 0 to 4", "up --dir " + dir + " --coordinators 5"},
		{"either --dir", "member list"},
		{"either --dir", "failover --dir " + dir + " --socket s"},
		{"accepts 2 arg(s)", "member replace --socket s 16"},
		{"start one with: dalio up", "member add --dir " + dir + " 10.0.0.2:7411"},
		{`"dir" not set`, "etcd"},
		{"want IP:PORT", "coordinator --dev lo --listen 127.0.0.1 --replica 16=10.0.0.2:7411"},
		{"ID=IP:PORT", "coordinator --dev lo --listen 127.0.0.1:7411 --replica 10.0.0.2:7411"},
		{"device none7", "coordinator --dev none7 --listen 127.0.0.1:7411 --replica 16=10.0.0.2:7411"},
	} {
		r := expect(t, exitUsage, "", c.said, strings.Fields(c.args)...)
		if strings.Count(r.errors, "\n") != 1 || !strings.HasPrefix(r.errors, "dalio: ") {
			t.Errorf("dalio %s said more than one line: %q", c.args, r.errors)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range []string{"", "--help", "put --help", "up --help", "coordinator --help", "completion bash"} {
		if r := dalio(t, strings.Fields(args)...); r.status != 0 || r.out == "" || r.errors != "" {
			t.Errorf("dalio %s: status %d, said %q", args, r.status, r.errors)
		}
	}
}

func TestDoctorFindsThisMachineFit(t *testing.T) {
	if r := dalio(t, "doctor"); r.status != 0 || strings.Contains(r.out, "MISSING") || !strings.Contains(r.out, "data plane") {
		t.Errorf("status %d:\n%s%s", r.status, r.out, r.errors)
	}
}

// TestWithoutPrivileges runs the command as a user who may do nothing.
func TestWithoutPrivileges(t *testing.T) {
	dir, err := os.MkdirTemp("", "dalio")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "dalio")
	if out, err := exec.Command("cp", os.Args[0], program).CombinedOutput(); err != nil {
		t.Fatalf("copy the program: %v, %s", err, out)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	rack, err := fabric.New(t.Context(), fabric.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer rack.Close()
	node, err := rack.AddNode("host", 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ said, args string }{
		{"run as root", "coordinator --dev eth0 --listen 10.77.0.5:7411 --replica 16=10.77.0.6:7411"},
		{"checks failed", "doctor"},
		{"make the shard's folder", "up --dir /dalio-none"},
	} {
		cmd := exec.Command(program, strings.Fields(c.args)...)
		cmd.Env = append(os.Environ(), asDalio+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := node.Start(cmd); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // The status says it all.
		if status := cmd.ProcessState.ExitCode(); status != exitUsage || !strings.Contains(out.String(), c.said) {
			t.Errorf("dalio %s: status %d, said %q; want 2 and %q", c.args, status, out.String(), c.said)
		}
	}
}

// TestReplicaReadyLine: the parent waits for this line, and gets it on standard output.
func TestReplicaReadyLine(t *testing.T) {
	cmd := command("replica", "--id", "16", "--listen", "127.0.0.1:0")
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ready replicaReady
	if err := json.NewDecoder(output).Decode(&ready); err != nil {
		t.Error(err)
	}
	if !ready.Ready || ready.ID != 16 || ready.Epoch != 1 || ready.PID != cmd.Process.Pid || ready.ReceiveBuffer == 0 {
		t.Errorf("ready line %+v", ready)
	}
	_ = cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}
