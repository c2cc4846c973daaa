// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"dalio/bpf"
	"dalio/protocol"
)

// Limit is the stateless XDP program that touches and sends the same packets.
type Limit struct{}

// Name implements Contender.
func (Limit) Name() string { return "limit" }

// Versioned implements Contender.
func (Limit) Versioned() bool { return false }

// Start implements Contender.
func (Limit) Start(site *Site) (Running, error) {
	r := &runningLimit{}
	if err := loadForwarder(loadLimit, &r.objects, site.Settings, nil); err != nil {
		return nil, fmt.Errorf("load the stateless forwarder: %w", err)
	}
	if err := site.Do(func() error { return r.attach(site) }); err != nil {
		return nil, errors.Join(fmt.Errorf("attach the stateless forwarder: %w", err), r.Close())
	}
	return r, nil
}

// loadForwarder loads a program that forward.h is part of, with more variables set
// if it has any of its own.
func loadForwarder(load func() (*ebpf.CollectionSpec, error), objects any, s Settings, more map[string]any) error {
	spec, err := load()
	if err != nil {
		return err
	}
	var replicas [protocol.MaxMembers]surroundingsPeer
	for i, m := range s.members() {
		replicas[i] = toPeer(m)
	}
	variables := map[string]any{
		limitVarSelf:         toPeer(protocol.Member{Address: self()}),
		limitVarReplicas:     replicas,
		limitVarReplicaCount: uint32(s.Replicas),
		limitVarEpoch:        uint32(epoch),
	}
	for _, set := range []map[string]any{variables, more} {
		for name, value := range set {
			if err := spec.Variables[name].Set(value); err != nil {
				return fmt.Errorf("configure it: %w", err)
			}
		}
	}
	if err := spec.LoadAndAssign(objects, nil); err != nil {
		return explain(err)
	}
	return nil
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

// TC is the same forwarder at TC ingress, which multicasts by clones.
type TC struct{}

// Name implements Contender.
func (TC) Name() string { return "tc" }

// Versioned implements Contender.
func (TC) Versioned() bool { return false }

// Start implements Contender.
func (TC) Start(site *Site) (Running, error) {
	r := &runningTC{}
	device := map[string]any{tcVarDevice: uint32(site.Coordinator)}
	if err := loadForwarder(loadTc, &r.objects, site.Settings, device); err != nil {
		return nil, fmt.Errorf("load the forwarder at TC: %w", err)
	}
	if err := site.Do(func() error { return r.attach(site) }); err != nil {
		return nil, errors.Join(fmt.Errorf("attach the forwarder at TC (needs Linux 6.6): %w", err), r.Close())
	}
	return r, nil
}

type runningTC struct {
	objects tcObjects
	link    link.Link
	pass    io.Closer
}

func (r *runningTC) attach(site *Site) error {
	var err error
	// Without an XDP program a veth device has no thread to receive for it.
	if r.pass, err = bpf.AttachPass(site.Coordinator); err != nil {
		return err
	}
	r.link, err = link.AttachTCX(link.TCXOptions{Program: r.objects.Forward, Interface: site.Coordinator,
		Attach: ebpf.AttachTCXIngress})
	return err
}

func (r *runningTC) Processes() []int { return nil }

func (r *runningTC) Close() error {
	var err error
	if r.link != nil {
		err = r.link.Close()
	}
	if r.pass != nil {
		err = errors.Join(err, r.pass.Close())
	}
	return errors.Join(err, r.objects.Close())
}
