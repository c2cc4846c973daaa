// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestNothingIsLeft compares the machine before and after a rack with
// everything in use: names, namespaces, links, programs, descriptors.
func TestNothingIsLeft(t *testing.T) {
	links := linkNames(t)
	files := openFiles(t)
	rack, err := New(context.Background(), Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer rack.Close()
	a, b := addNode(t, rack, "a", 1), addNode(t, rack, "b", 2)
	setFaults(t, b, ToNode, Faults{Delay: 1, DelayMin: MaxDelay, DelayMax: MaxDelay})
	from, err := a.ListenUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	to, err := b.ListenUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	send(t, from, to, 1)
	waitFor(t, "a frame to be held", func() bool { return counters(t, b, ToNode).Delayed == 1 })
	from.Close()
	to.Close()
	child := exec.Command("sleep", "1000")
	if err := a.Start(child); err != nil {
		t.Fatal(err)
	}
	programs := []ebpf.ProgramID{programID(t, rack.pass), programID(t, rack.faults.objects.JudgeFrame)}
	t.Run("close", func(t *testing.T) {
		witness := plantWitness(t, a.NetNS())
		report := owned{ID: rack.ID(), Child: child.Process.Pid}
		if err := rack.Close(); err != nil {
			t.Fatal(err)
		}
		if err := child.Wait(); child.ProcessState.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
			t.Errorf("the child ended with %v", err)
		}
		checkGone(t, report)
		waitFor(t, "the namespace to go", func() bool { return !witness() })
	})
	for _, id := range programs {
		waitFor(t, "the programs to go", func() bool {
			program, err := ebpf.NewProgramFromID(id)
			if err == nil {
				program.Close()
			}
			return errors.Is(err, fs.ErrNotExist)
		})
	}
	if now := linkNames(t); !slices.Equal(now, links) {
		t.Errorf("links were %v and are %v", links, now)
	}
	waitFor(t, "the descriptors to be closed", func() bool { return openFiles(t) == files })
}

func programID(t *testing.T, program *ebpf.Program) ebpf.ProgramID {
	t.Helper()
	info, err := program.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, ok := info.ID()
	if !ok {
		t.Fatal("the kernel gives programs no ids")
	}
	return id
}

func linkNames(t *testing.T) []string {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, link := range links {
		names = append(names, link.Attrs().Name)
	}
	return names
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
