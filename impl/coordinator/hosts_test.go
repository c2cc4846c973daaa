// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"dalio/bpf"
)

// internet stands for a network of real machines: each host is a network
// namespace without a name, joined to others by veth pairs that are set up as an
// administrator would set up devices. Addresses of neighbours are for ARP to find.
type internet struct {
	*testing.T
	executable string
}

type host struct {
	*internet
	name string
	ns   netns.NsHandle
	// kernel configures the host's network from any thread.
	kernel *netlink.Handle
}

// newInternet builds the dalio command for the hosts to run.
func newInternet(t *testing.T) *internet {
	t.Helper()
	n := &internet{T: t, executable: filepath.Join(t.TempDir(), "dalio")}
	if out, err := exec.Command("go", "build", "-o", n.executable, "dalio/impl/cmd/dalio").CombinedOutput(); err != nil {
		t.Fatalf("build the dalio command: %v\n%s", err, out)
	}
	return n
}

func (n *internet) must(err error) {
	n.Helper()
	if err != nil {
		n.Fatalf("%v (the tests of this package need root)", err)
	}
}

// host makes a host without any device but lo.
func (n *internet) host(name string) *host {
	n.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	n.must(err)
	defer home.Close()
	ns, err := netns.New()
	n.must(err)
	n.must(netns.Set(home))
	kernel, err := netlink.NewHandleAt(ns)
	n.must(err)
	h := &host{internet: n, name: name, ns: ns, kernel: kernel}
	n.Cleanup(func() {
		kernel.Close()
		if err := ns.Close(); err != nil {
			n.Error(err)
		}
	})
	h.up("lo")
	return h
}

// do runs fn on the host.
func (h *host) do(fn func() error) {
	h.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	h.must(err)
	defer home.Close()
	h.must(netns.Set(h.ns))
	err = fn()
	h.must(netns.Set(home))
	h.must(err)
}

// up brings a device up and gives it addresses, such as 10.1.0.2/24.
func (h *host) up(device string, addresses ...string) netlink.Link {
	h.Helper()
	link, err := h.kernel.LinkByName(device)
	h.must(err)
	for _, address := range addresses {
		a, err := netlink.ParseAddr(address)
		h.must(err)
		h.must(h.kernel.AddrAdd(link, a))
	}
	h.must(h.kernel.LinkSetUp(link))
	return link
}

// cable joins two hosts by a device on each; their addresses are up to the
// caller. Both ends of a veth pair must run XDP for the one to send what the
// other receives; between real machines nothing stands for this.
func (h *host) cable(device string, to *host, farDevice string) {
	h.Helper()
	h.must(h.kernel.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: device, MTU: 1500}, PeerName: farDevice, PeerNamespace: netlink.NsFd(to.ns)}))
	h.up(device)
	far := to.up(farDevice)
	to.do(func() error {
		pass, err := bpf.AttachPass(far.Attrs().Index)
		if err == nil {
			h.Cleanup(func() { pass.Close() })
		}
		return err
	})
}

// route sends what is for a network to a router, from now on.
func (h *host) route(network, via string) {
	h.Helper()
	_, to, err := net.ParseCIDR(network)
	h.must(err)
	h.must(h.kernel.RouteReplace(&netlink.Route{Dst: to, Gw: net.ParseIP(via)}))
}

// forward makes the host a router.
func (h *host) forward() {
	h.Helper()
	h.do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) })
}

// mac returns the hardware address that a host's device got from the kernel.
func (h *host) mac(device string) string {
	h.Helper()
	link, err := h.kernel.LinkByName(device)
	h.must(err)
	return link.Attrs().HardwareAddr.String()
}

// bridge joins all devices of the host into one network.
func (h *host) bridge() {
	h.Helper()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "bridge", MTU: 1500}}
	h.must(h.kernel.LinkAdd(bridge))
	links, err := h.kernel.LinkList()
	h.must(err)
	for _, link := range links {
		if link.Type() == "veth" {
			h.must(h.kernel.LinkSetMaster(link, bridge))
		}
	}
	h.up("bridge")
	ready := func() bool {
		for _, link := range links {
			now, err := h.kernel.LinkByIndex(link.Attrs().Index)
			h.must(err)
			if now.Type() == "veth" && now.Attrs().OperState != netlink.OperUp {
				return false
			}
		}
		return true
	}
	for deadline := time.Now().Add(patience); !ready(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.Fatalf("the bridge is not ready within %v", patience)
		}
	}
}

// command is a dalio command that runs on a host.
type command struct {
	*exec.Cmd
	said bytes.Buffer
	done chan struct{}
}

// start runs a dalio command on the host and waits until it says that it is ready.
func (h *host) start(args ...string) *command {
	h.Helper()
	cmd := exec.Command(h.executable, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return h.await(cmd)
}

// await is start for a command that is prepared already.
func (h *host) await(cmd *exec.Cmd) *command {
	h.Helper()
	c := &command{Cmd: cmd, done: make(chan struct{})}
	c.Stderr = &c.said
	out, err := c.StdoutPipe()
	h.must(err)
	h.do(c.Start)
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewReader(out)
		line, _ := lines.ReadBytes('\n') // An end without a line is not the ready line either.
		var message struct{ Ready bool }
		ready <- json.Unmarshal(line, &message) == nil && message.Ready
		_, _ = io.Copy(io.Discard, lines)
		_ = c.Wait() // The exit status is looked at by end.
		close(c.done)
	}()
	h.Cleanup(func() { c.end(h.internet, syscall.SIGKILL) })
	select {
	case ok := <-ready:
		if !ok {
			<-c.done
			h.Fatalf("%v on %s did not become ready: %s", cmd.Args, h.name, c.said.String())
		}
	case <-time.After(patience):
		h.Fatalf("%v on %s is not ready within %v", cmd.Args, h.name, patience)
	}
	return c
}

// end signals a command and waits for it.
func (c *command) end(n *internet, signal syscall.Signal) {
	n.Helper()
	_ = c.Process.Signal(signal) // It may have ended already.
	select {
	case <-c.done:
	case <-time.After(patience):
		n.Fatalf("%v did not end on %v", c.Args, signal)
	}
}

// addressOf returns IP:PORT of a host's address with the usual port.
func addressOf(ip string) string { return netip.AddrPortFrom(netip.MustParseAddr(ip), 7411).String() }

// concurrently runs the functions at the same time.
func concurrently(functions ...func()) {
	var all sync.WaitGroup
	for _, f := range functions {
		all.Go(f)
	}
	all.Wait()
}
