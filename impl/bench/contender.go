// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"dalio/bpf"
	"dalio/protocol"
)

// Contender is a coordinator under test, or what one is measured against.
type Contender interface {
	// Name is a short word for rows and keys.
	Name() string
	// Versioned says whether its answers carry versions that can be judged.
	Versioned() bool
	// Start starts it at a site, with an XDP program on the coordinator's device.
	Start(*Site) (Running, error)
}

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
}

// lease is the one that a coordinator has unless told otherwise.
const lease = 250 * time.Millisecond

// Name implements Contender.
func (Dalio) Name() string { return "dalio" }

// Versioned implements Contender.
func (Dalio) Versioned() bool { return true }

// Start implements Contender.
func (d Dalio) Start(site *Site) (Running, error) {
	o := bpf.Options{Self: self(), Object: d.Object, Lease: lease}
	if d.NoLease {
		o.Lease = 0
	}
	plane, err := bpf.Load(o)
	if err != nil {
		return nil, err
	}
	members := site.Settings.members()
	err = site.Do(func() error {
		return errors.Join(plane.SetEpoch(epoch), plane.SetMembers(members...), plane.SetServing(1<<len(members)-1),
			plane.Attach(site.Coordinator))
	})
	if err != nil {
		return nil, errors.Join(err, plane.Close())
	}
	return inKernel{plane}, nil
}

// inKernel is a contender that has no process.
type inKernel struct{ io.Closer }

func (inKernel) Processes() []int { return nil }

// Limit is the stateless XDP program that touches and sends the same packets.
type Limit struct{}

// Name implements Contender.
func (Limit) Name() string { return "limit" }

// Versioned implements Contender.
func (Limit) Versioned() bool { return false }

// Start implements Contender.
func (Limit) Start(site *Site) (Running, error) {
	spec, err := loadLimit()
	if err != nil {
		return nil, err
	}
	var replicas [protocol.MaxMembers]surroundingsPeer
	for i, m := range site.Settings.members() {
		replicas[i] = toPeer(m)
	}
	for name, value := range map[string]any{
		limitVarSelf:         toPeer(protocol.Member{Address: self()}),
		limitVarReplicas:     replicas,
		limitVarReplicaCount: uint32(site.Settings.Replicas),
		limitVarEpoch:        uint32(epoch),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("configure the stateless forwarder: %w", err)
		}
	}
	r := &runningLimit{}
	if err := spec.LoadAndAssign(&r.objects, nil); err != nil {
		return nil, fmt.Errorf("load the stateless forwarder: %w", explain(err))
	}
	if err := site.Do(func() error { return r.attach(site) }); err != nil {
		return nil, errors.Join(fmt.Errorf("attach the stateless forwarder: %w", err), r.Close())
	}
	return r, nil
}

type runningLimit struct {
	objects limitObjects
	link    link.Link
}

func (r *runningLimit) attach(site *Site) error {
	var err error
	r.link, err = link.AttachXDP(link.XDPOptions{Program: r.objects.Forward, Interface: site.Coordinator,
		Flags: link.XDPDriverMode})
	if err != nil {
		return err
	}
	value := make([]byte, 8)
	binary.NativeEndian.PutUint32(value[0:], uint32(site.Coordinator))
	binary.NativeEndian.PutUint32(value[4:], uint32(r.objects.Copy.FD()))
	for i := range site.Settings.Replicas {
		if err := r.objects.Group.Update(uint32(i), value, ebpf.UpdateAny); err != nil {
			return err
		}
	}
	return nil
}

func (r *runningLimit) Processes() []int { return nil }

func (r *runningLimit) Close() error {
	var err error
	if r.link != nil {
		err = r.link.Close()
	}
	return errors.Join(err, r.objects.Close())
}
