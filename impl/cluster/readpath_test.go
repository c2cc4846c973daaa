// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"dalio/bpf/reader"
	"dalio/impl/fabric"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// startFast starts a shard whose replicas must answer reads in the kernel, unless
// other flags say otherwise.
func startFast(t *testing.T, flags ...string) *Cluster {
	t.Helper()
	if len(flags) == 0 {
		flags = []string{"--kernel-reads=on", "--kernel-room=1384"}
	}
	c, err := Start(t.Context(), Options{Dir: t.TempDir(), Replicas: 2, Executable: executable, Sessions: 64, ReplicaFlags: flags})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// kernelReads adds up what the replicas' read paths have counted; nil if there are
// none.
func (c *Cluster) kernelReads(t *testing.T) (all *control.KernelReads) {
	t.Helper()
	for _, p := range c.Replicas {
		api := control.NewClient(addrPort(p), control.Options{Dial: p.Node.Dialer(net.Dialer{})})
		s, err := api.Status(t.Context())
		api.Close()
		if err != nil {
			t.Fatal(err)
		}
		if s.Counters.Kernel == nil {
			continue
		}
		if all == nil {
			all = &control.KernelReads{Passed: map[string]uint64{}}
		}
		all.Answered += s.Counters.Kernel.Answered
		for reason, n := range s.Counters.Kernel.Passed {
			all.Passed[reason] += n
		}
	}
	return all
}

func addrPort(p *Process) netip.AddrPort { return netip.AddrPortFrom(p.Node.Addr, protocol.Port) }

// TestReadsInTheKernel: values of all sizes come back, whoever answers.
func TestReadsInTheKernel(t *testing.T) {
	c := startFast(t)
	cl := dial(t, c)
	const reads = 6
	sizes := []int{0, 1, 64, 200, 215, 216, 217, 300, 1000, 1300}
	for _, size := range sizes {
		key, value := fmt.Sprint("of", size), strings.Repeat("v", size)
		mustPut(t, cl, key, value)
		for range reads {
			mustGet(t, cl, key, value)
		}
	}
	k := c.kernelReads(t)
	if k == nil || k.Answered < 6*reads || k.Answered+k.Passed["room"] < uint64(len(sizes)*reads) {
		t.Errorf("%d reads of values of %v bytes: the kernel %v", len(sizes)*reads, sizes, k)
	}

	slow := startFast(t, "--kernel-reads=off")
	cl = dial(t, slow)
	mustPut(t, cl, "k", "v")
	mustGet(t, cl, "k", "v")
	if k := slow.kernelReads(t); k != nil {
		t.Errorf("switched off, the kernel %v", k)
	}
}

// TestStoppedReplicasAreRead: while no process takes a step, what was committed is
// still answered, and a write that nobody acknowledges is not.
func TestStoppedReplicasAreRead(t *testing.T) {
	c := startFast(t)
	cl := dial(t, c)
	mustPut(t, cl, "k", "before")
	for _, p := range c.Replicas {
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the replica to stop", func() bool { return stopped(t, p.PID) })
	}
	put := make(chan error, 1)
	go func() { put <- cl.Put(t.Context(), "k", []byte("after")) }()
	for range 20 {
		mustGet(t, cl, "k", "before")
	}
	select {
	case err := <-put:
		t.Fatalf("a write ended while all replicas were stopped: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	for _, p := range c.Replicas {
		if err := p.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-put; err != nil {
		t.Fatal(err)
	}
	for range 20 {
		mustGet(t, cl, "k", "after")
	}
}

// runsXDP says whether a node's device runs a program.
func runsXDP(t *testing.T, n *fabric.Node) (runs bool) {
	t.Helper()
	err := n.Do(func() error {
		device, err := netlink.LinkByName(fabric.Device)
		if err == nil {
			xdp := device.Attrs().Xdp
			runs = xdp != nil && xdp.Attached
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// TestReadPathEndsWithItsProcess, and a successor waits for that.
func TestReadPathEndsWithItsProcess(t *testing.T) {
	c := startFast(t)
	p := c.Replicas[0]
	if !runsXDP(t, p.Node) {
		t.Fatal("the device runs no program")
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the program to go", func() bool { return !runsXDP(t, p.Node) })

	// One that stays for a while, as if it were the killed process's.
	var late *reader.Reader
	err := p.Node.Do(func() error {
		device, err := reader.DeviceOf(p.Node.Addr)
		if err != nil {
			return err
		}
		o := reader.Options{Address: addrPort(p), Keys: reader.MinKeys}
		copy(o.MAC[:], device.HardwareAddr)
		if late, err = reader.Load(o); err != nil {
			return err
		}
		return late.Attach(device.Index)
	})
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan error, 1)
	go func() {
		_, err := c.Restart(t.Context(), p)
		ready <- err
	}()
	select {
	case err := <-ready:
		t.Fatalf("the successor did not wait for the program of its predecessor: %v (%v)", err, late.Close())
	case <-time.After(300 * time.Millisecond):
	}
	if err := late.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the successor's program", func() bool { return runsXDP(t, p.Node) })
}
