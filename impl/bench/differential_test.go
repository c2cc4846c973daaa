// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"dalio/protocol"
)

// TestSameAsModel sends the same messages to each coordinator in user space and to
// the reference model, and compares all that comes out, and why nothing did.
func TestSameAsModel(t *testing.T) {
	for _, rival := range programs.Coordinators() {
		if rival.Name() == "c_gso" {
			// Trains leave after what is sent alone, and the answer to a probe must be last.
			rival.Args = append(rival.Args, "--batch", "1")
		}
		for name, serving := range map[string]uint16{"all serve": 7, "one serves": 2, "none serves": 0} {
			t.Run(rival.Name()+", "+name, func(t *testing.T) { compareWithModel(t, rival, serving, 4000) })
		}
	}
}

const (
	diffSlots = 16
	diffTTL   = 3
	diffEpoch = 5
)

// parrot is a rival's coordinator on the loopback device, sockets at all addresses
// that speak to it, and the model of what it must say.
type parrot struct {
	model   *protocol.Coordinator
	command *exec.Cmd
	out     *bufio.Reader
	pipe    interface{ SetReadDeadline(time.Time) error }
	// sockets are by the address they are bound to.
	sockets map[protocol.Address]int
	probe   protocol.Address
	reasons map[protocol.Reason]uint64
	seen    map[string]int
}

func loopback(host byte, port uint16) protocol.Address {
	return protocol.Address{IP: [4]byte{127, 0, 0, host}, Port: port}
}

var diffSelf = loopback(1, protocol.Port)

func newParrot(t *testing.T, rival Process, serving uint16) *parrot {
	t.Helper()
	// The namespace goes with the test's thread.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &parrot{
		model: &protocol.Coordinator{Self: diffSelf, Epoch: diffEpoch, SessionTTL: diffTTL, Members: 7, Serving: serving,
			Sessions: make([]protocol.SessionEntry, diffSlots)},
		sockets: map[protocol.Address]int{}, probe: loopback(200, 9000),
		reasons: map[protocol.Reason]uint64{}, seen: map[string]int{},
	}
	args := []string{"--listen", hostPort(diffSelf), "--epoch", strconv.Itoa(diffEpoch), "--ttl", strconv.Itoa(diffTTL),
		"--sessions", strconv.Itoa(diffSlots), "--serving", strconv.Itoa(int(serving)), "--no-tick"}
	for i := range 3 {
		m := protocol.Member{ID: protocol.ReplicaID(1<<4 | i), Address: loopback(byte(11+i), protocol.Port)}
		p.model.Known[i] = m
		args = append(args, "--replica", fmt.Sprintf("%d,%s", m.ID, hostPort(m.Address)))
		p.bind(t, m.Address)
	}
	p.bind(t, p.probe)
	for i := range 3 {
		p.bind(t, loopback(byte(100+i), 9000))
	}
	p.command = exec.Command(rival.Path, append(args, rival.Args...)...)
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	pipe, err := p.command.StdoutPipe()
	if err == nil {
		err = p.command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.pipe, p.out = pipe.(interface{ SetReadDeadline(time.Time) error }), bufio.NewReader(pipe)
	p.says(t, "ready\n")
	return p
}

// listen bounds the wait for what the coordinator says next.
func (p *parrot) listen(t *testing.T) {
	t.Helper()
	if err := p.pipe.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
}

// says waits for a line of the coordinator's, which must be the one given.
func (p *parrot) says(t *testing.T, want string) {
	t.Helper()
	p.listen(t)
	if line, err := p.out.ReadString('\n'); line != want {
		t.Fatalf("the coordinator said %q, want %q: %v", line, want, err)
	}
}

func (p *parrot) bind(t *testing.T, a protocol.Address) {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(socket) })
	if err := unix.Bind(socket, &unix.SockaddrInet4{Port: int(a.Port), Addr: a.IP}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		t.Fatal(err)
	}
	p.sockets[a] = socket
}

func (p *parrot) send(t *testing.T, payload []byte, from protocol.Address) {
	t.Helper()
	to := &unix.SockaddrInet4{Port: int(diffSelf.Port), Addr: diffSelf.IP}
	if err := unix.Sendto(p.sockets[from], payload, 0, to); err != nil {
		t.Fatal(err)
	}
}

// actual sends the payload and returns what the coordinator sends for it. A
// probe comes after, so that nothing is missed: its answer is the last to come.
func (p *parrot) actual(t *testing.T, payload []byte, from protocol.Address) []string {
	t.Helper()
	p.send(t, payload, from)
	probe := protocol.Message{Type: protocol.WriteRequest, Op: protocol.OpPut, Session: protocol.MintSessionID(p.model.Epoch, 0, 1), Request: 1, Key: []byte("probe")}
	p.send(t, probe.Append(nil), p.probe)
	buffer := make([]byte, 2048)
	n, _, err := unix.Recvfrom(p.sockets[p.probe], buffer, 0)
	for errors.Is(err, unix.EINTR) {
		// The kernel does not resume a receive that has a timeout after a signal.
		n, _, err = unix.Recvfrom(p.sockets[p.probe], buffer, 0)
	}
	if err != nil || n != protocol.HeaderSize {
		t.Fatalf("answer to the probe: %d bytes, %v", n, err)
	}
	p.reasons[protocol.NotDropped]++
	var all []string
	for a, socket := range p.sockets {
		for {
			n, _, err := unix.Recvfrom(socket, buffer, unix.MSG_DONTWAIT)
			if errors.Is(err, unix.EAGAIN) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, describe(a, buffer[:n]))
		}
	}
	slices.Sort(all)
	return all
}

func describe(to protocol.Address, payload []byte) string {
	return netip.AddrFrom4(to.IP).String() + " " + hex.EncodeToString(payload)
}

// expected returns what the model sends. A socket knows no MAC addresses: none
// are given to the model, and it gives none.
func (p *parrot) expected(payload []byte, from protocol.Address) []string {
	empty := protocol.Message{}
	frame := protocol.NewFrame(&empty, from, diffSelf)[:protocol.FrameOverhead]
	frame = append(frame, payload...)
	putLength := func(at, length int) { frame[at], frame[at+1] = byte(length>>8), byte(length) }
	putLength(16, len(frame)-14)
	putLength(38, len(frame)-34)

	o := p.model.HandleFrame(frame)
	p.reasons[o.Reason]++
	frames := o.Clones
	if o.Verdict == protocol.Transmit {
		frames = [][]byte{o.Frame}
	}
	var all []string
	for _, f := range frames {
		to := protocol.Address{IP: [4]byte(f[30:34]), Port: uint16(f[36])<<8 | uint16(f[37])}
		// A damaged return address is nobody's.
		if _, ok := p.sockets[to]; ok {
			all = append(all, describe(to, f[protocol.FrameOverhead:]))
		}
	}
	slices.Sort(all)
	return all
}

func compareWithModel(t *testing.T, rival Process, serving uint16, steps int) {
	p := newParrot(t, rival, serving)
	g := &generator{rand: rand.New(rand.NewPCG(1, uint64(serving))), model: p.model}
	for step := range steps {
		if step%50 == 49 {
			p.model.Tick++
			if err := p.command.Process.Signal(unix.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			p.says(t, "tick\n")
		}
		payload, from := g.next()
		want, got := p.expected(payload, from), p.actual(t, payload, from)
		if !slices.Equal(want, got) {
			t.Fatalf("step %d: for %x from %v\nwant %s\ngot  %s", step, payload, from.IP,
				strings.Join(want, "\n     "), strings.Join(got, "\n     "))
		}
		for _, line := range got {
			g.learn(line)
			p.seen[kindOf(line)]++
		}
	}
	p.compareReasons(t)
	t.Logf("sent: %v", p.seen)
	for _, kind := range []string{"OpenResponse OK", "OpenResponse BUSY", "WriteResponse OK", "WriteResponse BUSY",
		"WriteResponse EXPIRED", "WriteResponse REFUSED", "Write none"} {
		if p.seen[kind] == 0 {
			t.Errorf("no %s was ever sent", kind)
		}
	}
	if serving != 0 && (p.seen["ReadResponse OK"] == 0 || p.seen["Read none"] == 0) {
		t.Error("no read was ever answered")
	}
}

func kindOf(line string) string {
	_, text, _ := strings.Cut(line, " ")
	payload, err := hex.DecodeString(text)
	if err != nil || len(payload) < protocol.HeaderSize {
		return "short"
	}
	kind := fmt.Sprintf("%v %v", protocol.MessageType(payload[3]), protocol.Status(payload[5]))
	if payload[7] > 0 {
		kind += ", hops"
	}
	return kind
}

// compareReasons ends the coordinator, which then says what it dropped.
func (p *parrot) compareReasons(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.listen(t)
	text, err := io.ReadAll(p.out)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Wait(); err != nil {
		t.Fatal(err)
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 || string(fields[0]) != "drops" {
		t.Fatalf("the coordinator ended with %q", text)
	}
	for i, field := range fields[1:] {
		reason := protocol.Reason(i)
		if string(field) != strconv.FormatUint(p.reasons[reason], 10) {
			t.Errorf("%v: the coordinator counted %s, the model %d", reason, field, p.reasons[reason])
		}
		impossible := reason == protocol.Gated || reason == protocol.Contended || reason == protocol.Internal ||
			reason == protocol.Closed || reason == protocol.LeaseExpired ||
			p.model.Serving == 0 && (reason == protocol.BadSession || reason == protocol.UnknownVersion) ||
			p.model.Serving == p.model.Members && reason == protocol.NotServing
		if !impossible && p.reasons[reason] == 0 {
			t.Errorf("%v never happened", reason)
		}
	}
}
