// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"io"
	"time"

	"dalio/bpf"
)

// Contender is a coordinator under test, or what one is measured against.
type Contender interface {
	// Name is a short word for rows and keys.
	Name() string
	// Knows says how its answers are to be judged.
	Knows() Knowledge
	// Start starts it at a site, with an XDP program on the coordinator's device.
	Start(*Site) (Running, error)
}

// Knowledge is what a contender knows of Dalio's protocol.
type Knowledge int

const (
	// Versions means that answers carry versions that can be judged.
	Versions Knowledge = iota
	// Messages means that it makes one message of another, without versions.
	Messages
	// Nothing means that it sends on what comes: a Balancer.
	Nothing
)

// Running is a contender at work.
type Running interface {
	// Processes are those whose processor time counts as the contender's, beside
	// that of the thread that receives for the device.
	Processes() []int
	io.Closer
}

// Dalio is the coordinator in XDP.
type Dalio struct {
	// Object is a file to load in place of the built-in data plane.
	Object string
	// NoLease has it release values however long a member has been silent.
	NoLease bool
	// NoPrefetch has no frames fetched ahead for it.
	NoPrefetch bool
	// Sessions is the size of the session table; 0 stands for the default.
	Sessions uint32
	// Empty is Programs.Empty to have it tell of each message that it handles, which is done
	// by another object. What it tells is thrown away unread: no process could read so much.
	Empty string
}

// lease is the one that a coordinator has unless told otherwise.
const lease = 250 * time.Millisecond

// Name implements Contender.
func (d Dalio) Name() string {
	switch {
	case d.Empty != "":
		return "dalio+events"
	case d.NoPrefetch:
		return "dalio-prefetch"
	}
	return "dalio"
}

// Knows implements Contender.
func (Dalio) Knows() Knowledge { return Versions }

// Start implements Contender.
func (d Dalio) Start(site *Site) (Running, error) {
	o := bpf.Options{Self: self(), Prefetch: bpf.PrefetchOn, Object: d.Object, Lease: lease, MaxSessions: d.Sessions, Events: d.Empty != ""}
	if d.NoLease {
		o.Lease = 0
	}
	if d.NoPrefetch {
		o.Prefetch = bpf.PrefetchOff
	}
	plane, err := bpf.Load(o)
	if err != nil {
		return nil, err
	}
	members := site.Settings.members()
	var running Running = inKernel{plane}
	err = site.Do(func() error {
		err := errors.Join(plane.SetEpoch(epoch), plane.SetMembers(members...), plane.SetServing(1<<len(members)-1),
			plane.Attach(site.Coordinator))
		if err == nil && d.Empty != "" {
			running, err = startTelling(plane, d.Empty, site.Settings.SurroundingsCPU)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, running.Close())
	}
	return running, nil
}

// inKernel is a contender that has no process.
type inKernel struct{ io.Closer }

func (inKernel) Processes() []int { return nil }
