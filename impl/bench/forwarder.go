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
	"dalio/bpf/prefetch"
	"dalio/protocol"
)

// Forwarder is the stateless XDP program: it touches and sends the same packets as a
// coordinator, and decides nothing.
type Forwarder struct {
	Self    protocol.Address
	Members []protocol.Member
	Epoch   protocol.Epoch
	// Versioned has it number the writes, for replicas that apply only what is newer
	// than what they hold: its one state.
	Versioned bool
	// Prefetch has frames fetched ahead for it; its device must be a veth then.
	Prefetch bool
}

// forwarderAt is the one of a site.
func forwarderAt(s Settings) Forwarder {
	return Forwarder{Self: self(), Members: s.members(), Epoch: epoch}
}

// load loads a program that forward.h is part of, with more variables set if it has any
// of its own.
func (f Forwarder) load(load func() (*ebpf.CollectionSpec, error), objects any, more map[string]any) error {
	if len(f.Members) < 1 || len(f.Members) > protocol.MaxMembers {
		return fmt.Errorf("%d replicas, want 1 to %d", len(f.Members), protocol.MaxMembers)
	}
	spec, err := load()
	if err != nil {
		return err
	}
	var replicas [protocol.MaxMembers]surroundingsPeer
	for i, m := range f.Members {
		replicas[i] = toPeer(m)
	}
	variables := map[string]any{
		limitVarSelf:         toPeer(protocol.Member{Address: f.Self}),
		limitVarReplicas:     replicas,
		limitVarReplicaCount: uint32(len(f.Members)),
		limitVarEpoch:        uint32(f.Epoch),
		limitVarVersioned:    f.Versioned,
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

// Attach loads the XDP program and attaches it to a device of the namespace that the
// caller is in. The program goes when what is returned is closed.
func (f Forwarder) Attach(device int) (io.Closer, error) {
	a := &attachedForwarder{}
	if err := f.load(loadLimit, &a.objects, nil); err != nil {
		return nil, fmt.Errorf("load the stateless forwarder: %w", err)
	}
	if err := a.attach(device, f); err != nil {
		return nil, errors.Join(fmt.Errorf("attach the stateless forwarder: %w", err), a.Close())
	}
	return a, nil
}

type attachedForwarder struct {
	objects  limitObjects
	prefetch *prefetch.Program
	link     link.Link
}

func (a *attachedForwarder) attach(device int, f Forwarder) error {
	entry := a.objects.Forward
	var err error
	if f.Prefetch {
		if a.prefetch, err = prefetch.Load(entry); err != nil {
			return err
		}
		entry = a.prefetch.Program()
	}
	if a.link, err = bpf.AttachNative(entry, device); err != nil {
		return err
	}
	value := make([]byte, 8)
	binary.NativeEndian.PutUint32(value[0:], uint32(device))
	binary.NativeEndian.PutUint32(value[4:], uint32(a.objects.Copy.FD()))
	for i := range f.Members {
		if err := a.objects.Group.Update(uint32(i), value, ebpf.UpdateAny); err != nil {
			return err
		}
	}
	return nil
}

// Close takes the program off its device.
func (a *attachedForwarder) Close() error {
	var err error
	if a.link != nil {
		err = a.link.Close()
	}
	if a.prefetch != nil {
		err = errors.Join(err, a.prefetch.Close())
	}
	return errors.Join(err, a.objects.Close())
}
