// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Node is a host of the rack: a namespace with one device.
type Node struct {
	Name string
	Addr netip.Addr
	MAC  net.HardwareAddr

	rack  *Rack
	index int
	ns    *Namespace
	xdp   link.Link
	// clock is how far the monotonic clock of new processes is ahead, in seconds.
	clock atomic.Int64
}

// NetNS is the name of the node's namespace, as ip-netns(8) lists it.
func (n *Node) NetNS() string { return n.ns.Name() }

// Do runs fn inside the node's namespace; see Namespace.Do.
func (n *Node) Do(fn func() error) error { return n.ns.Do(fn) }

// ListenUDP opens a UDP socket on the node; port 0 takes a free one.
func (n *Node) ListenUDP(port uint16) (*net.UDPConn, error) {
	var conn *net.UDPConn
	err := n.Do(func() error {
		var err error
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.Addr, port)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open UDP socket on %s: %w", n.Name, err)
	}
	return conn, nil
}

// Dialer returns the dialer's DialContext as seen from the node.
func (n *Node) Dialer(d net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = n.Do(func() (err error) {
			conn, err = d.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

// SetClock puts the monotonic clock that processes started on the node from now on
// see so far ahead of this machine's, in whole seconds of at least 0. It does not
// change under a process that runs.
func (n *Node) SetClock(ahead time.Duration) { n.clock.Store(int64(ahead / time.Second)) }

// Start starts a process on the node. The process is killed when the rack is
// closed and when this process dies. The caller waits for it as usual.
func (n *Node) Start(cmd *exec.Cmd) error {
	if ahead := n.clock.Load(); ahead != 0 && cmd.Err == nil {
		seconds := strconv.FormatInt(ahead, 10)
		unshare := exec.Command("unshare", "--time", "--monotonic", seconds, "--boottime", seconds, "--", cmd.Path)
		cmd.Path, cmd.Args, cmd.Err = unshare.Path, append(unshare.Args, cmd.Args[1:]...), unshare.Err
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	err := n.rack.starts.start(cmd, func() error { return n.Do(cmd.Start) })
	if err != nil {
		return fmt.Errorf("start %s on %s: %w", cmd.Path, n.Name, err)
	}
	return nil
}

// leave undoes join, as far as it got.
func (n *Node) leave() error {
	var problems []error
	if n.xdp != nil {
		problems = append(problems, n.xdp.Close())
	}
	if n.ns != nil {
		problems = append(problems, removeName(n.ns.Name()), n.ns.Close())
	}
	return errors.Join(problems...)
}

// PinDir is where processes on nodes find a BPF file system of the rack's own. It
// is mounted in their mount namespace alone, which the kernel takes down with what
// is pinned there when the last of them and the rack's process have ended.
const PinDir = "/sys/fs/bpf"

// starter starts processes from one thread that lives as long as the rack,
// because the kernel takes the death of the starting thread for the death of
// the parent.
type starter struct {
	mu      sync.Mutex
	stopped bool
	jobs    chan func()
	done    chan struct{}
	started []*os.Process
}

func newStarter() (*starter, error) {
	s := &starter{jobs: make(chan func()), done: make(chan struct{})}
	ready := make(chan error)
	go s.run(ready)
	return s, <-ready
}

// run never unlocks its thread, which therefore ends with it.
func (s *starter) run(ready chan<- error) {
	defer close(s.done)
	runtime.LockOSThread()
	err := ownMounts()
	ready <- err
	if err != nil {
		return
	}
	for job := range s.jobs {
		job()
	}
}

// ownMounts gives the thread, and the processes that it starts, a mount namespace
// with a BPF file system of its own. Other mounts of the host show in it as they
// come and go.
func ownMounts() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("keep mounts from the host: %w", err)
	}
	if err := unix.Mount("bpf", PinDir, "bpf", 0, ""); err != nil {
		return fmt.Errorf("mount a BPF file system at %s: %w", PinDir, err)
	}
	return nil
}

func (s *starter) start(cmd *exec.Cmd, start func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return ErrClosed
	}
	result := make(chan error)
	s.jobs <- func() { result <- start() }
	if err := <-result; err != nil {
		return err
	}
	s.started = append(s.started, cmd.Process)
	return nil
}

// stop kills what still runs. A process that its starter has waited for is
// known to be gone, so no process id is taken for another's.
func (s *starter) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.stopped = true
	for _, process := range s.started {
		// The only failure is that the process has ended already.
		_ = process.Kill()
	}
	close(s.jobs)
	<-s.done
}
