// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"dalio/impl/internal/datagram"
	"dalio/impl/replica/control"
	"dalio/protocol"
	"dalio/traces/event"
)

// Defaults of Options.
const (
	DefaultWorkers       = 1
	DefaultBatch         = 64
	DefaultReceiveBuffer = 4 << 20
)

// Options configure a Server; ID and Epoch have no default.
type Options struct {
	// ID and Epoch are those under which the coordinator knows the replica, if its
	// membership never changes. If they are 0, a control plane assigns them.
	ID    protocol.ReplicaID
	Epoch protocol.Epoch
	// Store holds the records; a new MemoryStore if nil.
	Store Store
	// API is where the control API is served, nil for nowhere. Listen sets it.
	API net.Listener
	// Workers is how many goroutines handle messages. They share one socket,
	// because all of a replica's messages come from one address and port.
	Workers int
	// Batch is how many messages a worker takes at once at most.
	Batch int
	// ReceiveBuffer is the socket's, in bytes. It takes up what arrives while
	// the replica is not scheduled; what overflows it must be sent again.
	ReceiveBuffer int
	// Events gets what the replica does, if not nil; the caller closes it.
	Events *event.Recorder
	// Logger is silent if nil.
	Logger *slog.Logger
	// Driver is for a server that is driven, by Work and Handler, and not served.
	Driver *Driver
}

func (o Options) withDefaults() Options {
	if o.Store == nil {
		o.Store = NewMemoryStore()
	}
	if o.Workers == 0 {
		o.Workers = DefaultWorkers
	}
	if o.Batch == 0 {
		o.Batch = DefaultBatch
	}
	if o.ReceiveBuffer == 0 {
		o.ReceiveBuffer = DefaultReceiveBuffer
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return o
}

func (o Options) check() error {
	switch {
	case o.ID == 0 && o.Epoch == 0 && (o.API != nil || o.Driver != nil):
		// To be assigned.
	case o.ID>>4 == 0:
		return fmt.Errorf("replica id %d: ids are generation<<4 | index with a generation of at least 1, so 16 is the first", o.ID)
	case o.Epoch == 0:
		return errors.New("epoch 0: epochs start at 1")
	case o.Workers < 0 || o.Batch < 0 || o.ReceiveBuffer < 0:
		return errors.New("workers, batch and receive buffer can't be negative")
	}
	return nil
}

// Server is a running replica.
type Server struct {
	options  Options
	store    Store
	syncer   Syncer // nil for a volatile store
	keeper   Keeper // nil for one that keeps no more than records
	sessions sessionTable
	packets  net.PacketConn
	conn     *datagram.Conn
	counters *counters
	granted  int
	// instance names this process.
	instance string
	// driven is the worker of Work, nil before that.
	driven *worker

	// membership guards the fields after it, up to returned. A worker holds it for reading
	// from when it looks at a message until the answer is sent.
	membership sync.RWMutex
	replica    protocol.Replica
	// path answers reads beside the server; counted is the same, also when the server
	// has ended.
	path, counted ReadPath
	// prefetchers are the store and the path, as far as they can.
	prefetchers []Prefetcher
	shard       string
	lastID      protocol.ReplicaID
	// returned is what the disk said, if the membership is from before the process
	// began, until a later epoch opens it.
	returned *control.Returned
	// stripes guard the store; membership is taken before them.
	stripes [Stripes]stripe

	catchUpMu sync.Mutex
	catchUp   *catchUp
	// catchingUp counts those that run, forgotten or not.
	catchingUp sync.WaitGroup
}

// stripe is the lock of one part of the keys, alone on its cache line.
type stripe struct {
	sync.Mutex
	_ [56]byte
}

// Listen returns a Server on an IPv4 address and UDP port of this machine. It
// serves once Serve is called.
func Listen(addr string, o Options) (*Server, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil || !at.Addr().Is4() {
		return nil, fmt.Errorf("replica address %q: an IPv4 address and port is needed, such as 10.0.0.2:%d", addr, protocol.Port)
	}
	packets, api, err := listenOnOnePort(at)
	if err != nil {
		return nil, err
	}
	o.API = api
	s, err := New(packets, o)
	if err != nil {
		return nil, errors.Join(err, packets.Close(), o.API.Close())
	}
	return s, nil
}

// listenOnOnePort opens a replica's socket and, on the port of the same number, that of
// its control API. If the kernel is to choose, what it chooses for one may be taken for
// the other: then it chooses again.
func listenOnOnePort(at netip.AddrPort) (*net.UDPConn, net.Listener, error) {
	const tries = 16
	for try := 1; ; try++ {
		packets, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return nil, nil, fmt.Errorf("open the replica's socket: %w", err)
		}
		api, err := net.Listen("tcp4", packets.LocalAddr().String())
		if err == nil {
			return packets, api, nil
		}
		err = errors.Join(fmt.Errorf("open the replica's control port: %w", err), packets.Close())
		if at.Port() != 0 || try == tries || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, nil, err
		}
	}
}

// New returns a Server on a socket, which is the server's from then on.
func New(packets net.PacketConn, o Options) (*Server, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Server{
		options:  o,
		packets:  packets,
		conn:     datagram.NewConn(packets),
		counters: newCounters(),
		instance: rand.Text(),
		path:     noReadPath{},
		counted:  noReadPath{},
	}
	s.store = &mirrored{Store: o.Store, server: s}
	s.replica = protocol.Replica{Store: s.store, Sessions: &s.sessions}
	s.prefetchBy(o.Store)
	s.syncer, _ = o.Store.(Syncer)
	s.keeper, _ = o.Store.(Keeper)
	if s.keeper != nil {
		if err := s.comeBack(); err != nil {
			return nil, err
		}
	}
	if o.ID != 0 {
		if err := s.store.Begin(o.ID); err != nil {
			return nil, fmt.Errorf("begin a membership: %w", err)
		}
		s.replica.Assign(o.ID, o.Epoch, protocol.Version{})
		s.lastID = o.ID
	}
	if udp, ok := packets.(*net.UDPConn); ok {
		var err error
		if s.granted, err = datagram.SetReceiveBuffer(udp, o.ReceiveBuffer); err != nil {
			return nil, err
		}
		if s.granted < o.ReceiveBuffer {
			o.Logger.Warn("the kernel granted a smaller receive buffer than asked for; raise net.core.rmem_max or add CAP_NET_ADMIN",
				"bytes", s.granted, "asked", o.ReceiveBuffer)
		}
	}
	return s, nil
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.packets.LocalAddr() }

// ReceiveBuffer returns the size that the kernel granted, 0 if it is not known.
func (s *Server) ReceiveBuffer() int { return s.granted }

// Counters returns what the server has done so far.
func (s *Server) Counters() Counters {
	s.countOverflows()
	c := s.counters.snapshot()
	c.Kernel = s.kernelReads()
	return c
}

func (s *Server) countOverflows() {
	if udp, ok := s.packets.(*net.UDPConn); ok {
		if n, err := datagram.Overflows(udp); err == nil { // A closed socket can't tell any more.
			s.counters.overflows.Store(n)
		}
	}
}

// Serve handles messages until the context ends, and returns nil then, or until
// the store or the socket fails. It closes the socket, and is called once.
func (s *Server) Serve(ctx context.Context) error {
	defer s.packets.Close()
	defer s.countOverflows()
	group, ctx := errgroup.WithContext(ctx)
	// Waking the workers by a deadline, not by closing the socket, lets them
	// answer what they have taken.
	stop := context.AfterFunc(ctx, func() { _ = s.packets.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for range s.options.Workers {
		group.Go(newWorker(s).run)
	}
	if s.options.API != nil {
		a := s.serveAPI(s.options.API)
		group.Go(func() error { return a.until(ctx) })
	}
	if s.keeper != nil {
		group.Go(func() error {
			select {
			case <-s.keeper.Failed():
				return s.sync()
			case <-ctx.Done():
				return nil
			}
		})
	}
	err := group.Wait()
	s.forgetCatchUp()
	s.catchingUp.Wait()
	s.partWithPath()
	if err != nil {
		return fmt.Errorf("replica %d: %w", s.replica.ID, err)
	}
	return nil
}

// Close releases the sockets of a server that was never served, and ends Serve.
func (s *Server) Close() error {
	if s.options.API == nil {
		return s.packets.Close()
	}
	return errors.Join(s.packets.Close(), s.options.API.Close())
}

func isShutdown(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed)
}
