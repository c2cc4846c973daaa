// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"dalio/bpf"
)

// Limit is the stateless XDP program that touches and sends the same packets.
type Limit struct {
	// Prefetch has frames fetched ahead for it, as Dalio has: see package prefetch.
	Prefetch bool
}

// Name implements Contender.
func (l Limit) Name() string {
	if l.Prefetch {
		return "limit+prefetch"
	}
	return "limit"
}

// Knows implements Contender.
func (Limit) Knows() Knowledge { return Messages }

// Start implements Contender.
func (l Limit) Start(site *Site) (Running, error) {
	f := forwarderAt(site.Settings)
	f.Prefetch = l.Prefetch
	var attached io.Closer
	err := site.Do(func() (err error) {
		attached, err = f.Attach(site.Coordinator)
		return err
	})
	if err != nil {
		return nil, err
	}
	return inKernel{attached}, nil
}

// TC is the same forwarder at TC ingress, which multicasts by clones.
type TC struct{}

// Name implements Contender.
func (TC) Name() string { return "tc" }

// Knows implements Contender.
func (TC) Knows() Knowledge { return Messages }

// Start implements Contender.
func (TC) Start(site *Site) (Running, error) {
	r := &runningTC{}
	device := map[string]any{tcVarDevice: uint32(site.Coordinator)}
	if err := forwarderAt(site.Settings).load(loadTc, &r.objects, device); err != nil {
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
