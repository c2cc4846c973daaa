// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// patience bounds every wait for something that ought to happen.
const patience = 5 * time.Second

func newRack(t testing.TB, seed uint64) *Rack {
	t.Helper()
	rack, err := New(t.Context(), Options{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rack.Close(); err != nil {
			t.Error(err)
		}
	})
	return rack
}

func addNode(t testing.TB, rack *Rack, name string, host uint8) *Node {
	t.Helper()
	node, err := rack.AddNode(name, host)
	if err != nil {
		t.Fatal(err)
	}
	return node
}

func listen(t testing.TB, node *Node) *net.UDPConn {
	t.Helper()
	conn, err := node.ListenUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	return conn
}

// waitFor polls a condition.
func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// pair is two nodes with a socket each that have spoken to each other, so
// that their addresses are resolved.
type pair struct {
	rack         *Rack
	a, b         *Node
	fromA, fromB *net.UDPConn
}

func newPair(t testing.TB, seed uint64) pair {
	t.Helper()
	rack := newRack(t, seed)
	p := pair{rack: rack, a: addNode(t, rack, "a", 1), b: addNode(t, rack, "b", 2)}
	p.fromA, p.fromB = listen(t, p.a), listen(t, p.b)
	send(t, p.fromA, p.fromB, 0)
	if got := receive(t, p.fromB, 1); len(got) != 1 {
		t.Fatal("b got nothing from a on a link without faults")
	}
	send(t, p.fromB, p.fromA, 0)
	if got := receive(t, p.fromA, 1); len(got) != 1 {
		t.Fatal("a got nothing from b on a link without faults")
	}
	return p
}

// send sends a numbered datagram.
func send(t testing.TB, from, to *net.UDPConn, number uint32) {
	t.Helper()
	message := make([]byte, 64)
	binary.BigEndian.PutUint32(message, number)
	if _, err := from.WriteTo(message, to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
}

// receive returns the numbers of the next datagrams: as many as expected, and
// those that come within a short time on top of that.
func receive(t testing.TB, conn *net.UDPConn, expected int) []uint32 {
	t.Helper()
	var numbers []uint32
	var message [2048]byte
	for {
		wait := patience
		if len(numbers) >= expected {
			wait = 30 * time.Millisecond
		}
		if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(message[:])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return numbers
		}
		if err != nil {
			t.Fatal(err)
		}
		if n < 4 {
			t.Fatalf("got a datagram of %d bytes", n)
		}
		numbers = append(numbers, binary.BigEndian.Uint32(message[:]))
	}
}

func TestNamespaceIsUsableByName(t *testing.T) {
	rack := newRack(t, 1)
	node := addNode(t, rack, "replica16", 16)
	if !strings.HasPrefix(node.NetNS(), "dalio-") || !strings.HasSuffix(node.NetNS(), "-replica16") {
		t.Errorf("namespace is named %q", node.NetNS())
	}
	output, err := exec.Command("ip", "netns", "exec", node.NetNS(), "ip", "-br", "addr", "show", Device).CombinedOutput()
	if err != nil || !strings.Contains(string(output), "10.77.0.16/24") {
		t.Errorf("ip netns exec: %v: %s", err, output)
	}
	opened, err := OpenNamespace(node.NetNS())
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home := currentNamespace(t)
	err = opened.Do(func() error {
		_, err := netlink.LinkByName(Device)
		return err
	})
	if err != nil {
		t.Errorf("inside the namespace: %v", err)
	}
	if now := currentNamespace(t); now != home {
		t.Errorf("the caller went from %s to %s", home, now)
	}
}

func currentNamespace(t *testing.T) string {
	t.Helper()
	namespace, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return namespace
}

// TestNewNodeIsReachable sends to a node at once. A port that does not forward
// yet would swallow the first address resolution, which is repeated after 1 s.
func TestNewNodeIsReachable(t *testing.T) {
	for range 5 {
		rack := newRack(t, 1)
		from, to := listen(t, addNode(t, rack, "a", 1)), listen(t, addNode(t, rack, "b", 2))
		begin := time.Now()
		send(t, from, to, 1)
		if got := receive(t, to, 1); len(got) != 1 || time.Since(begin) > 800*time.Millisecond {
			t.Errorf("the first frame of a rack: %v after %v", got, time.Since(begin))
		}
		// The links that go keep the kernel from noticing those that come.
		if err := rack.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNodesAreChecked(t *testing.T) {
	rack := newRack(t, 1)
	addNode(t, rack, "a", 1)
	for _, bad := range []struct {
		name string
		host uint8
	}{{"a", 2}, {"b", 1}, {"", 2}, {"rack", 2}, {"B", 2}, {"../b", 2}, {"b", 0}, {"b", 255}} {
		if _, err := rack.AddNode(bad.name, bad.host); err == nil {
			t.Errorf("a node %q at %d was accepted", bad.name, bad.host)
		}
	}
}

// TestBouncedFrameArrives guards the pass program of the ports: without it a
// veth throws away what its peer sends by XDP.
func TestBouncedFrameArrives(t *testing.T) {
	p := newPair(t, 1)
	bounce := loadBounce(t)
	err := p.b.Do(func() error {
		device, err := netlink.LinkByName(Device)
		if err != nil {
			return err
		}
		attached, err := link.AttachXDP(link.XDPOptions{
			Program: bounce, Interface: device.Attrs().Index, Flags: link.XDPDriverMode,
		})
		if err == nil {
			t.Cleanup(func() { attached.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.b.SetFaults(FromNode, Faults{Duplicate: 1}); err != nil {
		t.Fatal(err)
	}
	send(t, p.fromA, p.fromB, 7)
	if got := receive(t, p.fromA, 2); len(got) != 2 || got[0] != 7 || got[1] != 7 {
		t.Errorf("a got %v, want the bounced frame twice", got)
	}
	if c := counters(t, p.b, FromNode); c.Seen != 1 || c.Duplicated != 1 {
		t.Errorf("bounced frames are counted as %+v", c)
	}
}

// loadBounce loads an XDP program that returns every UDP frame to its sender.
func loadBounce(t *testing.T) *ebpf.Program {
	t.Helper()
	const xdpTx, xdpPass, frame = 3, 2, 42
	swap := func(x, y int16, size asm.Size) asm.Instructions {
		return asm.Instructions{
			asm.LoadMem(asm.R4, asm.R2, x, size), asm.LoadMem(asm.R5, asm.R2, y, size),
			asm.StoreMem(asm.R2, x, asm.R5, size), asm.StoreMem(asm.R2, y, asm.R4, size),
		}
	}
	program := asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word), // data_end
		asm.Mov.Imm(asm.R0, xdpPass),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, frame),
		asm.JGT.Reg(asm.R4, asm.R3, "exit"),
		asm.LoadMem(asm.R4, asm.R2, 23, asm.Byte), // IP protocol
		asm.JNE.Imm(asm.R4, 17, "exit"),
	}
	program = append(program, swap(0, 6, asm.Word)...)
	program = append(program, swap(4, 10, asm.Half)...)
	program = append(program, swap(26, 30, asm.Word)...)
	program = append(program, swap(34, 36, asm.Half)...)
	program = append(program, asm.Mov.Imm(asm.R0, xdpTx), asm.Return().WithSymbol("exit"))
	loaded, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "bounce", Type: ebpf.XDP, Instructions: program, License: "Apache-2.0",
	})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { loaded.Close() })
	return loaded
}

// TestFullFrameArrives sends the largest frame through every kind of fault.
func TestFullFrameArrives(t *testing.T) {
	p := newPair(t, 1)
	faults := Faults{Duplicate: 1, Delay: 1, DelayMin: time.Millisecond, DelayMax: 2 * time.Millisecond}
	if err := p.b.SetFaults(ToNode, faults); err != nil {
		t.Fatal(err)
	}
	message := bytes.Repeat([]byte{0, 0, 0, 9}, (mtu-28)/4)
	if _, err := p.fromA.WriteTo(message, p.fromB.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, p.fromB, 2); len(got) != 2 {
		t.Errorf("got %d datagrams, want the copy and the delayed one", len(got))
	}
	if c := counters(t, p.b, ToNode); c.Delayed != 1 || c.Undelayed != 0 {
		t.Errorf("counters of a full frame: %+v", c)
	}
}

func TestClosedRackRefuses(t *testing.T) {
	rack, err := New(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	node := addNode(t, rack, "a", 1)
	if err := rack.Close(); err != nil {
		t.Fatal(err)
	}
	if err := rack.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if _, err := rack.AddNode("b", 2); !errors.Is(err, ErrClosed) {
		t.Errorf("add node: %v", err)
	}
	if err := node.SetFaults(ToNode, Faults{Loss: 1}); !errors.Is(err, ErrClosed) {
		t.Errorf("set faults: %v", err)
	}
	if _, err := node.Counters(ToNode); !errors.Is(err, ErrClosed) {
		t.Errorf("read counters: %v", err)
	}
	if err := node.Start(exec.Command("true")); !errors.Is(err, ErrClosed) {
		t.Errorf("start a process: %v", err)
	}
}
