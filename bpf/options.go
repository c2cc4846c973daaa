// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"time"

	"dalio/protocol"
)

// Defaults of Options.
const (
	DefaultMaxSessions = 65536
	DefaultSessionTTL  = 60

	// maxSlots is how many slots a session id can name.
	maxSlots = 1 << 24
)

// Options is what is fixed when the data plane is loaded.
type Options struct {
	// Self is the coordinator's own address. Its hardware address is that of the
	// device it will be attached to; each of several devices has its own, and
	// this one is not used. Port 0 means protocol.Port.
	Self protocol.Address
	// SeveralDevices lets the data plane be attached to more than one device,
	// with another object, which is a little slower.
	SeveralDevices bool
	// MaxSessions is the size of the session table, a power of two; 0 means
	// DefaultMaxSessions.
	MaxSessions uint32
	// SessionTTL is the number of ticks after which an idle session may be
	// reclaimed; 0 means DefaultSessionTTL.
	SessionTTL uint32
	// Lease is for how long the silence of a member is borne before no more values
	// are released; 0 for ever, which is right only if nobody can take over.
	Lease time.Duration
	// Prefetch says whether frames that wait in a veth device's ring are fetched ahead.
	Prefetch Prefetch
	// Object is the path of an object to load in place of the embedded one, built
	// from the same sources.
	Object string
	// Events has the program tell of each message that it handles, in a ring that
	// Events reads. That is done by another object, for one device; without it,
	// nothing of the kind is in the program.
	Events bool

	// clockStands is 1 for tests that set the clock themselves.
	clockStands uint32
	// eventRing is the size of the ring of events in bytes; 0 means eventRing.
	eventRing uint32
}

// ErrOptions is returned by Load for options that can't work.
var ErrOptions = errors.New("bad data plane options")

func (o Options) withDefaults() Options {
	if o.Self.Port == 0 {
		o.Self.Port = protocol.Port
	}
	if o.MaxSessions == 0 {
		o.MaxSessions = DefaultMaxSessions
	}
	if o.SessionTTL == 0 {
		o.SessionTTL = DefaultSessionTTL
	}
	if o.eventRing == 0 {
		o.eventRing = eventRing
	}
	return o
}

func (o Options) validate() error {
	switch {
	case o.Self.IP == [4]byte{}:
		return fmt.Errorf("%w: the coordinator needs an IPv4 address", ErrOptions)
	case o.Self.MAC == [6]byte{}:
		return fmt.Errorf("%w: the coordinator needs the MAC address of its device", ErrOptions)
	case o.Events && o.SeveralDevices:
		return fmt.Errorf("%w: events are told by a data plane for one device only", ErrOptions)
	case o.Prefetch > PrefetchOff:
		return fmt.Errorf("%w: the prefetch is %d", ErrOptions, o.Prefetch)
	case o.Lease < 0:
		return fmt.Errorf("%w: the lease is %v", ErrOptions, o.Lease)
	case o.MaxSessions&(o.MaxSessions-1) != 0 || o.MaxSessions > maxSlots:
		return fmt.Errorf("%w: max sessions is %d, want a power of two up to %d", ErrOptions, o.MaxSessions, maxSlots)
	}
	return nil
}
