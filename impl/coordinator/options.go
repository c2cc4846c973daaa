// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalio/bpf"
	"dalio/impl/config"
	"dalio/protocol"
	"dalio/traces/event"
)

// ErrConfiguration is wrapped by what Start returns when options, privileges or
// the network of this machine have to be changed before it can work.
var ErrConfiguration = errors.New("bad configuration")

// DefaultResolveTimeout bounds how long Start looks for the replicas' hardware addresses.
const DefaultResolveTimeout = 5 * time.Second

// Replica is a replica as the command line names it.
type Replica struct {
	ID      protocol.ReplicaID
	Address netip.AddrPort
}

// ParseReplica parses ID=IP:PORT.
func ParseReplica(s string) (Replica, error) {
	id, address, found := strings.Cut(s, "=")
	n, idErr := strconv.ParseUint(id, 10, 32)
	at, addrErr := netip.ParseAddrPort(address)
	if !found || idErr != nil || addrErr != nil {
		return Replica{}, fmt.Errorf("replica %q: want ID=IP:PORT, such as 16=10.0.0.2:%d", s, protocol.Port)
	}
	return Replica{protocol.ReplicaID(n), at}, nil
}

// Options configure a Coordinator.
type Options struct {
	// Devices are the network devices that clients and replicas are reached
	// through; their drivers must run XDP themselves.
	Devices []string
	// Listen is the coordinator's address, one of this machine's.
	Listen   netip.AddrPort
	Replicas []Replica
	Epoch    protocol.Epoch
	// Sessions is the size of the session table, a power of two, and SessionTTL
	// the age in seconds at which an idle session may be reclaimed; 0 stands for
	// the data plane's defaults.
	Sessions   uint32
	SessionTTL uint32
	// Object is a data plane to load in place of the embedded one.
	Object string
	// Prefetch says whether what waits in a veth device's ring is fetched ahead.
	Prefetch bpf.Prefetch
	// Shared is where the coordinators of a shard agree on its members. If nil, the
	// members are the Replicas, and never change.
	Shared Shared
	// Name tells the coordinators of a shard apart; the address if empty.
	Name string
	// Shard is the name of the shard.
	Shard string
	// Found has the replicas that a shard begins with that was never open, and
	// MinMembers how many members it must have for new writes; 0 is the default.
	Found      []netip.AddrPort
	MinMembers int
	// Standby: the coordinator never founds a shard.
	Standby bool
	// SuspectAfter is how long a replica may be silent before it is taken out,
	// TakeoverAfter how long another coordinator's data plane may be before this
	// one takes over, and ControlTimeout how long its control plane may be gone.
	SuspectAfter, TakeoverAfter, ControlTimeout time.Duration
	// Lease is for how long reads are released after a member was heard last. It
	// must be the same for all coordinators of a shard.
	Lease time.Duration
	// CatchUpRate bounds what a joining replica is sent, in bytes a second.
	CatchUpRate int64
	// PinDir is a folder in a BPF file system for the data plane to be pinned in, if
	// not empty: it then outlives this process, if that is killed, and is adopted
	// by the next one of the same name.
	PinDir string
	// StatusSocket is the path of a unix socket to serve the admin API on, and Admin
	// an address for that, if they are not empty. Whoever reaches them may use them.
	StatusSocket string
	Admin        netip.AddrPort
	// ResolveTimeout bounds the search for the hardware addresses of fixed members.
	ResolveTimeout time.Duration
	// Events gets what the data plane does, if not nil; the caller closes it. The data
	// plane is another one then, for one device.
	Events *event.Recorder
	// Dial opens the connections to replicas, in place of a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger is silent if nil.
	Logger *slog.Logger

	// enter is for tests that have several hosts in one process: it runs a function
	// on this coordinator's.
	enter func(func() error) error
	// driver is for a control plane that is driven, nil for others.
	driver *Driver
}

// Shared is what the coordinators of a shard share: its configuration, and who of
// them is there.
type Shared interface {
	config.Store
	// Changes gets an entry when something may have changed.
	Changes(context.Context) <-chan struct{}
	// Announce makes a coordinator known until the context ends.
	Announce(context.Context, config.Presence, time.Duration)
	Present(context.Context) ([]config.Presence, error)
}

// Defaults of Options for members that change.
const (
	DefaultShard          = "dalio"
	DefaultSuspectAfter   = 200 * time.Millisecond
	DefaultTakeoverAfter  = 300 * time.Millisecond
	DefaultControlTimeout = 10 * time.Second
	DefaultLease          = 250 * time.Millisecond
	DefaultCatchUpRate    = 24 << 20
	// DefaultMinMembers is what a shard must have to take writes, unless it begins
	// with fewer replicas: with one member, one more failure loses what is written.
	DefaultMinMembers = 2
)

func (o Options) withDefaults() Options {
	if o.Shared != nil {
		o = o.withSharedDefaults()
	} else {
		o.Lease = 0 // There is nobody to take over.
	}
	if o.ResolveTimeout == 0 {
		o.ResolveTimeout = DefaultResolveTimeout
	}
	if o.enter == nil {
		o.enter = func(do func() error) error { return do() }
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: followTimeout}).DialContext
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return o
}

func (o Options) withSharedDefaults() Options {
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&o.SuspectAfter, DefaultSuspectAfter}, {&o.TakeoverAfter, DefaultTakeoverAfter},
		{&o.ControlTimeout, DefaultControlTimeout}, {&o.Lease, DefaultLease}} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	if o.Name == "" {
		o.Name = o.Listen.String()
	}
	if o.Shard == "" {
		o.Shard = DefaultShard
	}
	if o.CatchUpRate == 0 {
		o.CatchUpRate = DefaultCatchUpRate
	}
	if o.MinMembers == 0 {
		o.MinMembers = min(DefaultMinMembers, max(1, len(o.Found)))
	}
	if o.Sessions == 0 {
		o.Sessions = bpf.DefaultMaxSessions
	}
	return o
}

func (o Options) checkShared() error {
	for _, a := range o.Found {
		if !usable(a) || a.Addr() == o.Listen.Addr() {
			return fmt.Errorf("%w: replica at %v: an IPv4 address other than the coordinator's is needed", ErrConfiguration, a)
		}
	}
	switch {
	case !config.ValidName(o.Name) || !config.ValidName(o.Shard):
		return fmt.Errorf("%w: name %q, shard %q: names have 1 to 64 characters, no slashes and no spaces", ErrConfiguration, o.Name, o.Shard)
	case len(o.Found) > protocol.MaxMembers:
		return fmt.Errorf("%w: %d replicas: a shard has 1 to %d", ErrConfiguration, len(o.Found), protocol.MaxMembers)
	case o.MinMembers < 1 || o.MinMembers > protocol.MaxMembers:
		return fmt.Errorf("%w: at least %d members: want 1 to %d", ErrConfiguration, o.MinMembers, protocol.MaxMembers)
	case o.CatchUpRate < 0:
		return fmt.Errorf("%w: a catch-up of %d bytes a second: want a number above 0, or 0 for the default", ErrConfiguration, o.CatchUpRate)
	case min(o.SuspectAfter, o.TakeoverAfter, o.ControlTimeout, o.Lease) < probeInterval:
		return fmt.Errorf("%w: no time may be shorter than %v, in which a replica is heard once", ErrConfiguration, probeInterval)
	}
	return nil
}

func (o Options) check() error {
	switch {
	case len(o.Devices) == 0 || slices.Contains(o.Devices, ""):
		return fmt.Errorf("%w: no device is named", ErrConfiguration)
	case !usable(o.Listen):
		return fmt.Errorf("%w: listen address %v: an IPv4 address of this machine and a port is needed", ErrConfiguration, o.Listen)
	case o.Shared != nil:
		return o.checkShared()
	case o.PinDir != "":
		return fmt.Errorf("%w: a data plane with fixed members is not pinned: nobody could say whether it is still the right one", ErrConfiguration)
	case o.Epoch == 0:
		return fmt.Errorf("%w: epoch 0: epochs start at 1", ErrConfiguration)
	case len(o.Replicas) == 0 || len(o.Replicas) > protocol.MaxMembers:
		return fmt.Errorf("%w: %d replicas: a shard has 1 to %d", ErrConfiguration, len(o.Replicas), protocol.MaxMembers)
	}
	byIndex := make(map[int]Replica)
	byAddress := make(map[netip.AddrPort]Replica)
	for _, r := range o.Replicas {
		if r.ID>>4 == 0 {
			return fmt.Errorf("%w: replica id %d: ids are generation<<4 | index with a generation of at least 1, so 16 is the first",
				ErrConfiguration, r.ID)
		}
		if !usable(r.Address) || r.Address.Addr() == o.Listen.Addr() {
			return fmt.Errorf("%w: replica %d at %v: an IPv4 address other than the coordinator's is needed", ErrConfiguration, r.ID, r.Address)
		}
		if other, ok := byIndex[r.ID.Index()]; ok {
			return fmt.Errorf("%w: replicas %d and %d have the same index %d (id modulo %d)",
				ErrConfiguration, other.ID, r.ID, r.ID.Index(), protocol.MaxMembers)
		}
		if other, ok := byAddress[r.Address]; ok {
			return fmt.Errorf("%w: replicas %d and %d have the same address %v", ErrConfiguration, other.ID, r.ID, r.Address)
		}
		byIndex[r.ID.Index()], byAddress[r.Address] = r, r
	}
	return nil
}

func usable(a netip.AddrPort) bool {
	return a.Addr().Is4() && !a.Addr().IsUnspecified() && !a.Addr().IsMulticast() && a.Port() != 0
}

// explain marks the data plane's errors that a user can do something about.
func explain(err error) error {
	for _, cause := range []error{bpf.ErrPermission, bpf.ErrKernel, bpf.ErrNoDevice, bpf.ErrNoNativeXDP, bpf.ErrNoPrefetch, bpf.ErrDeviceBusy,
		bpf.ErrMTU, bpf.ErrOptions, bpf.ErrMembers} {
		if errors.Is(err, cause) {
			return fmt.Errorf("%w: %w", ErrConfiguration, err)
		}
	}
	return err
}
