// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"dalio/protocol"
)

// ErrMembers is returned for members that can't be told apart or that are not known.
var ErrMembers = errors.New("bad members")

// membarrierGlobal is the system call's command to wait until every processor
// has left what it was executing, BPF programs included.
const membarrierGlobal = 1

// ErrEpoch is returned for epoch 0, which is none.
var ErrEpoch = errors.New("bad epoch: 0 is none")

// SetEpoch sets the epoch that goes into versions and that replicas must name.
// It returns ErrEpoch for 0.
func (d *DataPlane) SetEpoch(e protocol.Epoch) error {
	if e == 0 {
		return ErrEpoch
	}
	return d.publish(func(m *membership) error {
		m.Epoch = uint32(e)
		return nil
	})
}

// SetMembers makes the replicas given, and no others, known to the coordinator
// and members, which must acknowledge writes. It returns ErrMembers if two have
// the same index. Those that may no longer serve reads are to be taken out with
// SetServing first.
func (d *DataPlane) SetMembers(members ...protocol.Member) error {
	var known [protocol.MaxMembers]protocol.Member
	var set uint16
	for _, m := range members {
		i := m.ID.Index()
		if m.ID == 0 || known[i].ID != 0 {
			return fmt.Errorf("%w: replica id %d is zero or has the index of another member", ErrMembers, m.ID)
		}
		known[i] = m
		set |= 1 << i
	}
	err := d.publish(func(m *membership) error {
		if m.Serving&^set != 0 {
			return fmt.Errorf("%w: a serving replica would not be a member", ErrMembers)
		}
		m.setKnown(known)
		m.Members = set
		return nil
	})
	return err
}

// SetPaths says by which of several devices each replica index is reached: one
// that the data plane is attached to, or 0 for the first of them. It returns
// ErrNoDevice for another one; before Attach, which then does, it takes any.
func (d *DataPlane) SetPaths(paths [protocol.MaxMembers]int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.devices) != 0 {
		if err := checkPaths(paths, d.devices); err != nil {
			return err
		}
	}
	d.paths = paths
	return d.install(d.memberships[d.active])
}

// SetServing says which members may serve reads, as a set of indices. It returns
// ErrMembers if one of them is no member.
func (d *DataPlane) SetServing(set uint16) error {
	return d.publish(func(m *membership) error {
		if set&^m.Members != 0 {
			return fmt.Errorf("%w: a serving replica must be a member", ErrMembers)
		}
		m.setServing(set)
		return nil
	})
}

// Tick advances the clock by which idle sessions are reclaimed.
func (d *DataPlane) Tick() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var now uint32
	if err := d.objects.Tick.Get(&now); err != nil {
		return fmt.Errorf("advance tick: %w", err)
	}
	if err := d.objects.Tick.Set(now + 1); err != nil {
		return fmt.Errorf("advance tick: %w", err)
	}
	return nil
}

// publish changes the membership. When it returns, no program that is running on
// a device can see the membership before, so its place may be overwritten by the
// next. Run is not waited for: that is up to its caller.
func (d *DataPlane) publish(change func(*membership) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := d.memberships[d.active]
	if err := change(&next); err != nil {
		return err
	}
	return d.install(next)
}

// install is what publish does with the changed membership.
func (d *DataPlane) install(next membership) error {
	next.setPaths(d.paths, d.numbers())
	if next == d.memberships[d.active] {
		return nil
	}
	spare := 1 - d.active
	d.memberships[spare] = next
	if err := d.fillGroup(next.Members); err != nil {
		return err
	}
	if err := d.objects.Memberships.Set(d.memberships); err != nil {
		return fmt.Errorf("publish membership: %w", err)
	}
	if err := d.objects.Active.Set(spare); err != nil {
		return fmt.Errorf("publish membership: %w", err)
	}
	d.active = spare
	if len(d.links) == 0 {
		return nil
	}
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		return fmt.Errorf("wait for programs that see the former membership: %w", errno)
	}
	return nil
}
