// SPDX-License-Identifier: Apache-2.0

// Command golang is a coordinator in user space, in Go: the reference model of package
// protocol on a UDP socket, one process on one processor. It understands the flags of
// the one in C. With --batch 0 each datagram takes a system call, in and out, as in most
// servers; with more, as many as there are, up to that number, take one.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"dalio/protocol"
)

type config struct {
	listen      netip.AddrPort
	cpu, batch  int
	ticks       bool
	coordinator protocol.Coordinator
	drops       [256]uint64
	// tick is the control plane's clock, in seconds.
	tick     atomic.Uint32
	stopping atomic.Bool
}

func (c *config) parse(args []string) error {
	f := flag.NewFlagSet("golang", flag.ContinueOnError)
	f.TextVar(&c.listen, "listen", netip.AddrPort{}, "IP:PORT to serve at")
	epoch := f.Uint("epoch", 1, "epoch")
	f.Func("replica", "ID,IP:PORT of a member; may be repeated", c.addReplica)
	serving := f.Int("serving", -1, "set of indices that serve reads; -1: all")
	sessions := f.Int("sessions", 65536, "slots of the session table, a power of two")
	ttl := f.Uint("ttl", 60, "age in seconds at which an idle session may be reclaimed")
	f.IntVar(&c.cpu, "cpu", -1, "processor to run on; -1: any")
	f.IntVar(&c.batch, "batch", 64, "datagrams for a system call; 0: one each, by the standard library")
	noTick := f.Bool("no-tick", false, "SIGUSR1 is the clock, and answered")
	if err := f.Parse(args); err != nil {
		return err
	}
	if !c.listen.IsValid() || c.batch < 0 || *sessions < 1 || *sessions&(*sessions-1) != 0 || f.NArg() > 0 {
		return errors.New("want --listen, --batch of 0 or more, and --sessions a power of two")
	}
	p := &c.coordinator
	p.Epoch, p.SessionTTL = protocol.Epoch(*epoch), uint32(*ttl)
	p.Sessions = make([]protocol.SessionEntry, *sessions)
	p.Serving = p.Members & uint16(*serving)
	c.ticks = !*noTick
	return nil
}

func (c *config) addReplica(text string) error {
	id, at, _ := strings.Cut(text, ",")
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return err
	}
	a, err := netip.ParseAddrPort(at)
	if err != nil {
		return err
	}
	m := protocol.Member{ID: protocol.ReplicaID(n), Address: address(a)}
	if n == 0 || c.coordinator.Known[m.ID.Index()].ID != 0 {
		return fmt.Errorf("replica id %d is 0 or has the index of another", n)
	}
	c.coordinator.Known[m.ID.Index()] = m
	c.coordinator.Members |= 1 << m.ID.Index()
	return nil
}

// address leaves out the MAC address, which a socket does not tell.
func address(a netip.AddrPort) protocol.Address {
	return protocol.Address{IP: a.Addr().As4(), Port: a.Port()}
}

// take handles one datagram, and has send called for each message that it makes, which
// may refer to the datagram.
func (c *config) take(payload []byte, from protocol.Address, send func(m *protocol.Message, to protocol.Address)) {
	p := &c.coordinator
	p.Tick = c.tick.Load()
	_, out := p.Handle(payload, from)
	c.drops[out.Reason]++
	switch {
	case out.Message == nil:
	case out.Targets != 0:
		for i, member := range p.Known {
			if out.Targets>>i&1 != 0 {
				out.Message.Replica = member.ID
				send(out.Message, member.Address)
			}
		}
	default:
		send(out.Message, out.To)
	}
}

// open opens the socket, with the options of the coordinator in C.
func (c *config) open() (*net.UDPConn, error) {
	const bufferBytes = 8 << 20
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(c.listen))
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	set := func(fd uintptr) {
		for _, o := range []struct{ level, name, value int }{
			{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bufferBytes}, {unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, bufferBytes},
			{unix.SOL_SOCKET, unix.SO_NO_CHECK, 1}, {unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO},
		} {
			err = errors.Join(err, unix.SetsockoptInt(int(fd), o.level, o.name, o.value))
		}
	}
	return conn, errors.Join(raw.Control(set), err)
}

// pin keeps all threads, and those that they will make, on one processor.
func pin(cpu int) error {
	runtime.GOMAXPROCS(1)
	threads, err := filepath.Glob("/proc/self/task/[0-9]*")
	for _, path := range threads {
		var set unix.CPUSet
		set.Set(cpu)
		thread, e := strconv.Atoi(filepath.Base(path))
		err = errors.Join(err, e, unix.SchedSetaffinity(thread, &set))
	}
	return err
}

// command has signals and the time do what they are for.
func (c *config) command(conn *net.UDPConn, signals <-chan os.Signal) {
	var second <-chan time.Time
	if c.ticks {
		second = time.Tick(time.Second)
	}
	for {
		select {
		case <-second:
			c.tick.Add(1)
		case s := <-signals:
			if s == unix.SIGTERM {
				c.stopping.Store(true)
				conn.Close()
				return
			}
			// The clock of a test, which waits until it has advanced.
			c.tick.Add(1)
			fmt.Println("tick")
		}
	}
}

func run(args []string) error {
	var c config
	if err := c.parse(args); err != nil {
		return err
	}
	conn, err := c.open()
	if err == nil && c.cpu >= 0 {
		err = pin(c.cpu)
	}
	if err != nil {
		return err
	}
	// Before anybody is told to send signals: the runtime would swallow one.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGUSR1)
	go c.command(conn, signals)
	fmt.Println("ready")
	if c.batch == 0 {
		err = c.serve(conn)
	} else {
		err = c.serveBatches(conn)
	}
	if !c.stopping.Load() {
		return err
	}
	fmt.Print("drops")
	for _, r := range append([]protocol.Reason{protocol.NotDropped}, protocol.Reasons()...) {
		fmt.Print(" ", c.drops[r])
	}
	fmt.Println()
	return nil
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "golang:", err)
		os.Exit(1)
	}
}
