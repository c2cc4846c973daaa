// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"dalio/protocol"
)

// exchange is a command in a document, with what it prints.
type exchange struct {
	host, command string
	output        []string
}

// exchanges returns what the console blocks of a document show: after "host# " a
// command, in the lines after it its output.
func exchanges(t *testing.T, path string) []exchange {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	prompt := regexp.MustCompile(`^(\w+)# (.*)$`)
	var all []exchange
	for _, block := range regexp.MustCompile("(?ms)^```console\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSuffix(line, "\n")
			switch match := prompt.FindStringSubmatch(line); {
			case match != nil:
				all = append(all, exchange{host: match[1], command: match[2]})
			case len(all) == 0:
				t.Fatalf("%s shows output before any command: %s", path, line)
			default:
				last := &all[len(all)-1]
				last.output = append(last.output, line)
			}
		}
	}
	return all
}

// shell runs a command line on the host as its user would type it, and returns what
// it prints.
func (h *host) shell(line string) string {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(h.executable)+":"+os.Getenv("PATH"))
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	h.do(cmd.Start)
	if err := cmd.Wait(); err != nil {
		h.Errorf("%s on %s: %v\n%s%s", line, h.name, err, out.String(), said.String())
	}
	return out.String()
}

// oneEthernet joins the hosts by a switch, with the device and the addresses of the
// documented shard.
func oneEthernet(n *internet) map[string]*host {
	ethernet, hosts := n.host("switch"), map[string]*host{}
	for name, last := range map[string]int{"coordinator": 1, "replica0": 2, "replica1": 3, "replica2": 4, "client": 100} {
		h := n.host(name)
		h.cable("eth0", ethernet, name)
		h.up("eth0", fmt.Sprintf("10.0.0.%d/24", last))
		hosts[name] = h
	}
	ethernet.bridge()
	return hosts
}

// TestHostsAsDocumented does what docs/hosts.md shows, on hosts as it describes them.
func TestHostsAsDocumented(t *testing.T) {
	n := newInternet(t)
	hosts := oneEthernet(n)
	// The hosts have one file system, the machine's.
	files := strings.NewReplacer("/run/", t.TempDir()+"/", "/var/lib/", t.TempDir()+"/")
	var ran []string
	for _, e := range exchanges(t, "../../docs/hosts.md") {
		h := hosts[e.host]
		if h == nil {
			t.Fatalf("docs/hosts.md has a command on a host %q, which it does not describe", e.host)
		}
		words := strings.Fields(e.command)
		ran = append(ran, words[1])
		command := files.Replace(e.command)
		switch words[1] {
		case "replica", "coordinator":
			h.start(strings.Fields(command)[1:]...)
		default:
			if got := strings.TrimSuffix(h.shell(command), "\n"); len(e.output) > 0 && got != strings.Join(e.output, "\n") {
				t.Errorf("%s prints %q; docs/hosts.md shows %q", e.command, got, e.output)
			}
		}
	}
	want := []string{"doctor", "replica", "replica", "replica", "coordinator", "put", "get", "delete", "status"}
	if !slices.Equal(ran, want) {
		t.Errorf("docs/hosts.md shows %v, want %v", ran, want)
	}
}

// TestPrivilegesAsDocumented: a user with three capabilities, and nothing else, runs
// a coordinator; without one of them it says what is missing.
func TestPrivilegesAsDocumented(t *testing.T) {
	n := newInternet(t)
	hosts := oneEthernet(n)
	n.must(os.Chmod(filepath.Dir(n.executable), 0o755))
	n.must(os.Chmod(filepath.Dir(filepath.Dir(n.executable)), 0o755))
	hosts["replica0"].start("replica", "--id", "16", "--listen", "10.0.0.2:7411")
	as := func(capabilities ...uintptr) *exec.Cmd {
		cmd := exec.Command(n.executable, "coordinator", "--dev", "eth0", "--listen", "10.0.0.1:7411", "--replica", "16=10.0.0.2:7411")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL,
			Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: capabilities}
		return cmd
	}
	documented := []uintptr{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON}
	for i := range documented {
		cmd := as(slices.Delete(slices.Clone(documented), i, i+1)...)
		var said bytes.Buffer
		cmd.Stderr = &said
		hosts["coordinator"].do(cmd.Start)
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 2 || !strings.Contains(said.String(), "run as root") {
			t.Errorf("without capability %d: %v, %s", documented[i], err, said.String())
		}
	}
	hosts["coordinator"].await(as(documented...))
	hosts["client"].shell("dalio put --address 10.0.0.1:7411 k v")
	if got := hosts["client"].shell("dalio get --address 10.0.0.1:7411 k"); got != "v\n" {
		t.Errorf("the value is %q", got)
	}
}

// TestExampleClient runs the client in another language, which was written after
// docs/wire.md alone, against a coordinator, beside dalio's own.
func TestExampleClient(t *testing.T) {
	n := newInternet(t)
	hosts := oneEthernet(n)
	script, err := filepath.Abs("../../docs/example_client.py")
	n.must(err)
	s := n.serve(hosts["coordinator"], "10.0.0.1", []string{"eth0"},
		[]*host{hosts["replica0"], hosts["replica1"]}, []string{"10.0.0.2", "10.0.0.3"})
	example := "python3 " + script + " " + s.address
	long := strings.Repeat("v", 1384-len("long"))
	for _, step := range []struct{ command, prints string }{
		{example + " get k", "1"},
		{example + " put k 'by the example'", "0"},
		{example + " get k", "by the example\n0"},
		{"dalio get --address " + s.address + " k", "by the example\n0"},
		{"dalio put --address " + s.address + " k 'by dalio'", "0"},
		{example + " get k", "by dalio\n0"},
		{example + " delete k", "0"},
		{example + " get k", "1"},
		{example + " put long " + long, "0"},
		{example + " get long", long + "\n0"},
		{example + " put long " + long + "x", "2"},
		{example + " put k", "2"},
	} {
		if got := hosts["client"].shell(step.command + " 2>/dev/null; echo $?"); got != step.prints+"\n" {
			t.Errorf("%.80s: %q, want %q", step.command, got, step.prints)
		}
	}
	s.coordinator.end(n, syscall.SIGTERM)
	if got := hosts["client"].shell(example + " put k v 2>/dev/null; echo $?"); got != "4\n" {
		t.Errorf("without a coordinator the status is %q", got)
	}
}

// TestExampleClientEncodes compares the example's requests with the golden frames.
func TestExampleClientEncodes(t *testing.T) {
	const program = `
import sys; sys.path.insert(0, "../../docs"); sys.dont_write_bytecode = True
from example_client import *
session, key, value = 1 << 40 | 3 << 24 | 7, b"greeting", b"hello, world"
print(encode(OPEN_REQUEST, NONE, 0, 0, 7, b"", b"").hex())
print(encode(WRITE_REQUEST, PUT, 0, session, 42, key, value).hex())
print(encode(READ_REQUEST, NONE, 0, session, 43, key, b"").hex())`
	out, err := exec.Command("python3", "-c", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(out))
	for i, name := range []string{"open_request", "write_request", "read_request"} {
		dump, err := os.ReadFile("../../protocol/testdata/frames/" + name + ".hex")
		if err != nil {
			t.Fatal(err)
		}
		var golden string
		for line := range strings.Lines(string(dump)) {
			golden += strings.ReplaceAll(line[8:58], " ", "")
		}
		if want := golden[2*protocol.FrameOverhead:]; got[i] != want {
			t.Errorf("%s is encoded as\n%s, want\n%s", name, got[i], want)
		}
	}
}
