// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"dalio/protocol"
	"dalio/traces/event"
)

// Options configure a Client; the zero value is good for a local network.
type Options struct {
	// Conn is an IPv4 UDP socket to use, such as one made inside a network
	// namespace; it is the client's from then on. If nil, Dial makes one.
	Conn net.PacketConn
	// Timeout bounds operations whose context has no deadline (10 s).
	Timeout time.Duration
	// FirstRetry is how long the first requests wait for an answer before they
	// are sent again (10 ms). Later ones wait for as long as round trips have
	// been measured to take, between MinRetry (5 ms) and MaxRetry (100 ms), and
	// twice as long each time that they are sent again.
	FirstRetry, MinRetry, MaxRetry time.Duration
	// SessionIdle is the age at which an unused session is given up (20 s). A
	// session older than the coordinator's TTL (60 s) may have another owner, so
	// SessionIdle and the longest deadline of a write should stay below it.
	SessionIdle time.Duration
	// SettleTimeout is for how long a write that ended unknown is sent again in
	// the background (5 s). That settles it, so that reads of its key need not
	// wait for it; its outcome is not reported any more.
	SettleTimeout time.Duration
	// MaxInFlight bounds the operations in flight (1024, at most 32768); more
	// of them wait.
	MaxInFlight int
	// Events, if set, gets what the client does; the caller closes it.
	Events *event.Recorder
	// Observe, if set, is called after each operation, before it returns, on the
	// goroutine that asked for it.
	Observe func(Request, Response)
}

func (o Options) withDefaults() (Options, error) {
	defaultTo(&o.Timeout, 10*time.Second)
	defaultTo(&o.FirstRetry, 10*time.Millisecond)
	defaultTo(&o.MinRetry, 5*time.Millisecond)
	defaultTo(&o.MaxRetry, 100*time.Millisecond)
	defaultTo(&o.SessionIdle, 20*time.Second)
	defaultTo(&o.SettleTimeout, 5*time.Second)
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 1024
	}
	switch {
	case min(o.Timeout, o.FirstRetry, o.MinRetry, o.MaxRetry, o.SessionIdle, o.SettleTimeout) < 0:
		return o, fmt.Errorf("client options: a duration is negative")
	case o.MinRetry > o.MaxRetry:
		return o, fmt.Errorf("client options: MinRetry %v is longer than MaxRetry %v", o.MinRetry, o.MaxRetry)
	case o.MaxInFlight < 0 || o.MaxInFlight > maxLanes/2:
		return o, fmt.Errorf("client options: MaxInFlight is %d, want 1 to %d", o.MaxInFlight, maxLanes/2)
	}
	return o, nil
}

func defaultTo(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Request is one operation.
type Request struct {
	// Op is OpNone for a read, OpPut or OpDelete.
	Op    protocol.Op
	Key   string
	Value []byte
}

// Response is what came of an operation and how.
type Response struct {
	// Err is nil if the operation was done. A read of an absent key is done too,
	// but has ErrNotFound.
	Err error
	// Value is what a read found.
	Value []byte
	// Replica is the one that served a read, and Hops how often the gate sent
	// the read on from another.
	Replica protocol.ReplicaID
	Hops    int
	// Version is that of the value read, or that the write was given.
	Version protocol.Version
	// Session and Request name the operation as the coordinator knows it.
	Session protocol.SessionID
	Request uint64
	// Retries is how often an overdue message was sent again.
	Retries int
	// Elapsed is the time from the call to the outcome.
	Elapsed time.Duration
}

// openSocket returns the socket to use and the coordinators' addresses.
func openSocket(addr string, given net.PacketConn) (net.PacketConn, []netip.AddrPort, error) {
	targets, err := resolve(addr)
	if err != nil || given != nil {
		return given, targets, err
	}
	if len(targets) > 1 {
		conn, err := net.ListenUDP("udp4", nil)
		if err != nil {
			return nil, nil, fmt.Errorf("open a socket to the coordinators at %s: %w", addr, err)
		}
		return conn, targets, nil
	}
	// A connected socket is told if nobody is there.
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(targets[0]))
	if err != nil {
		return nil, nil, fmt.Errorf("open a socket to the coordinator at %s: %w", addr, err)
	}
	return conn, targets, nil
}

func resolve(addr string) (targets []netip.AddrPort, err error) {
	for _, one := range strings.Split(addr, ",") {
		to, err := net.ResolveUDPAddr("udp4", strings.TrimSpace(one))
		if err == nil && (to.IP == nil || to.Port == 0) {
			err = errors.New("host or port is missing")
		}
		if err != nil {
			return nil, fmt.Errorf("coordinator address %q: %w; want an IPv4 address or name and a port, such as 10.0.0.1:%d, or several with commas between",
				one, err, protocol.Port)
		}
		target := netip.AddrPortFrom(to.AddrPort().Addr().Unmap(), to.AddrPort().Port())
		if !slices.Contains(targets, target) {
			targets = append(targets, target)
		}
	}
	return targets, nil
}
