// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"dalio/bpf/internal/namespace"
	"dalio/protocol"
)

// wire is a veth pair: the coordinator's device at one end, and a socket that
// sends and captures raw frames at the other.
type wire struct {
	coordinator, outside int
	socket               int
}

// newWire makes a wire in a network namespace of its own.
func newWire(t *testing.T, mtu int) *wire {
	t.Helper()
	namespace.EnterNetwork(t)
	return addWire(t, 0, mtu, 1)
}

// deviceMAC is the hardware address of the coordinator's device with the number.
func deviceMAC(number int) [6]byte {
	mac := self.MAC
	mac[1] = byte(number)
	return mac
}

// addWire makes the wire with the number in the namespace that the caller is in;
// its devices have as many queues as given.
func addWire(t *testing.T, number, mtu, queues int) *wire {
	t.Helper()
	inside, outside, mac := fmt.Sprint("coordinator", number), fmt.Sprint("outside", number), deviceMAC(number)
	pair := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: outside,
		PeerNumTxQueues: uint32(queues), PeerNumRxQueues: uint32(queues)}
	pair.Name, pair.MTU, pair.HardwareAddr = inside, mtu, mac[:]
	pair.NumTxQueues, pair.NumRxQueues = queues, queues
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatalf("make a veth pair: %v", err)
	}
	w := &wire{coordinator: namespace.Up(t, inside), outside: namespace.Up(t, outside)}

	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_IP)))
	if err != nil {
		t.Fatalf("open a packet socket: %v", err)
	}
	t.Cleanup(func() { unix.Close(socket) })
	w.socket = socket
	for _, err := range []error{
		unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IP), Ifindex: w.outside}),
		unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}),
		unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<22),
	} {
		if err != nil {
			t.Fatalf("set up the packet socket: %v", err)
		}
	}
	return w
}

func htons(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

// join attaches the data plane to the coordinator's end, and to the other end
// the program without which that receives nothing that is redirected.
func (w *wire) join(t *testing.T, dp *DataPlane) {
	t.Helper()
	letIn(t, w.outside)
	if err := dp.Attach(w.coordinator); err != nil {
		t.Fatal(err)
	}
}

// letIn attaches the program that passes every frame, until the test ends.
func letIn(t *testing.T, ifindex int) {
	t.Helper()
	pass, err := AttachPass(ifindex)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pass.Close() })
}

func (w *wire) send(t *testing.T, frame []byte) {
	t.Helper()
	if _, err := unix.Write(w.socket, frame); err != nil {
		t.Fatalf("send a frame: %v", err)
	}
}

// receive returns the next frame that came from the coordinator.
func (w *wire) receive(t *testing.T) []byte {
	t.Helper()
	buffer := make([]byte, 2048)
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		n, from, err := unix.Recvfrom(w.socket, buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			t.Fatalf("no frame came from the coordinator: %v", err)
		}
		if l, ok := from.(*unix.SockaddrLinklayer); ok && l.Pkttype != unix.PACKET_OUTGOING {
			return buffer[:n]
		}
	}
	t.Fatal("no frame came from the coordinator")
	return nil
}

// receiveUntilAnswer returns what comes until the answer to a probe, which is
// sent last and so comes last.
func (w *wire) receiveUntilAnswer(t *testing.T) [][]byte {
	t.Helper()
	probe := protocol.Message{Type: protocol.WriteRequest, Op: protocol.OpPut, Session: 1 << 40, Request: 1, Key: []byte("probe")}
	w.send(t, protocol.NewFrame(&probe, client(9), self))
	var frames [][]byte
	for {
		frame := w.receive(t)
		if m := mustDecode(t, frame); m.Type == protocol.WriteResponse && m.Status == protocol.StatusExpired {
			return frames
		}
		frames = append(frames, frame)
	}
}
