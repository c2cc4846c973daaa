// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalio/bpf"
	"dalio/protocol"
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
	// StatusSocket is the path of a unix socket to serve the status on, if not empty.
	StatusSocket   string
	ResolveTimeout time.Duration
	// Logger is silent if nil.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.ResolveTimeout == 0 {
		o.ResolveTimeout = DefaultResolveTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return o
}

func (o Options) check() error {
	switch {
	case len(o.Devices) == 0 || slices.Contains(o.Devices, ""):
		return fmt.Errorf("%w: no device is named", ErrConfiguration)
	case !usable(o.Listen):
		return fmt.Errorf("%w: listen address %v: an IPv4 address of this machine and a port is needed", ErrConfiguration, o.Listen)
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
	for _, cause := range []error{bpf.ErrPermission, bpf.ErrKernel, bpf.ErrNoDevice, bpf.ErrNoNativeXDP, bpf.ErrDeviceBusy,
		bpf.ErrMTU, bpf.ErrOptions, bpf.ErrMembers} {
		if errors.Is(err, cause) {
			return fmt.Errorf("%w: %w", ErrConfiguration, err)
		}
	}
	return err
}
