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

// ErrEpoch is returned for an epoch that there is not.
var ErrEpoch = errors.New("bad epoch")

// ErrIndexInUse is returned for a new member whose index is that of a former one
// which some pending write still counts as having acknowledged it. Another index,
// or another time, will do.
var ErrIndexInUse = errors.New("the member's index is still in use")

// SetEpoch sets the epoch that goes into versions and that replicas must name.
// It returns ErrEpoch for 0 and for one past the last. It is for data planes whose
// epoch never changes; [DataPlane.Open] is for others.
func (d *DataPlane) SetEpoch(e protocol.Epoch) error {
	if err := checkEpoch(e); err != nil {
		return err
	}
	return d.publish(func(m *membership) error {
		m.Epoch = uint32(e)
		return nil
	})
}

// SetMembers makes the replicas given, and no others, known to the coordinator
// and members, which must acknowledge writes. It returns ErrMembers if two have
// the same index, and ErrIndexInUse for a new one whose index is still in use.
// Those that may no longer serve reads are to be taken out with SetServing first.
// When it returns, no message is being handled under the former members.
func (d *DataPlane) SetMembers(members ...protocol.Member) error {
	known, set, err := tellApart(members)
	if err != nil {
		return err
	}
	if err := d.admit(known); err != nil {
		return err
	}
	err = d.publish(func(m *membership) error {
		if m.Serving&^set != 0 {
			return fmt.Errorf("%w: a serving replica would not be a member", ErrMembers)
		}
		m.setKnown(known)
		m.Members = set
		m.setMinMembers(int(m.MinMembers))
		return nil
	})
	return err
}

// tellApart returns the members by index, and the set of their indices.
func tellApart(members []protocol.Member) (known [protocol.MaxMembers]protocol.Member, set uint16, err error) {
	for _, m := range members {
		i := m.ID.Index()
		if m.ID == 0 || known[i].ID != 0 {
			return known, set, fmt.Errorf("%w: replica id %d is zero or has the index of another member", ErrMembers, m.ID)
		}
		known[i] = m
		set |= 1 << i
	}
	return known, set, nil
}

// admit sees to it that nothing which was heard of former members is taken for
// what new ones have said. A new member's lease runs from now on: it is not
// recovered from before it has caught up, and by then it has been heard.
func (d *DataPlane) admit(known [protocol.MaxMembers]protocol.Member) error {
	d.mu.Lock()
	before := d.memberships[d.active].known()
	d.mu.Unlock()
	var fresh uint16
	for i, m := range known {
		switch {
		case m.ID == 0 || m.ID == before[i].ID:
		case before[i].ID != 0:
			return fmt.Errorf("%w: replica %d would take the place of %d, which is still a member", ErrMembers, m.ID, before[i].ID)
		default:
			fresh |= 1 << i
		}
	}
	if fresh == 0 {
		return nil
	}
	used := uint16(0)
	err := d.eachSession(func(e *sessionEntry) {
		if e.pending() {
			used |= uint16(e.Word)
		}
	})
	if err != nil {
		return err
	}
	if used &= fresh; used != 0 {
		return fmt.Errorf("%w: indices %016b", ErrIndexInUse, used)
	}
	return d.hear(fresh)
}

// hear takes note that the replicas with the indices in the set have been heard.
func (d *DataPlane) hear(set uint16) error {
	var answered [protocol.MaxMembers]uint64
	if err := d.objects.Answered.Get(&answered); err != nil {
		return fmt.Errorf("read lease: %w", err)
	}
	for i := range answered {
		if set>>i&1 != 0 {
			answered[i] = uint64(d.now())
		}
	}
	if err := d.objects.Answered.Set(answered); err != nil {
		return fmt.Errorf("write lease: %w", err)
	}
	return nil
}

// SetMinMembers says how many members there must be for new writes.
func (d *DataPlane) SetMinMembers(n int) error {
	return d.publish(func(m *membership) error {
		m.setMinMembers(n)
		return nil
	})
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
	return waitForPrograms()
}

// waitForPrograms returns when no program sees the former membership any more.
func waitForPrograms() error {
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		return fmt.Errorf("wait for programs that see the former membership: %w", errno)
	}
	return nil
}
