// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"errors"
	"fmt"
)

// errSwitched is returned for faults where frames don't come by where they are made.
var errSwitched = errors.New("the rack is switched, and has no faults")

func (n *Node) direction(direction Direction) uint32 {
	return uint32(n.index)*2 + uint32(direction)
}

// SetFaults replaces the faults of one direction of the node's link. The zero
// Faults heals it, except for a cut.
func (n *Node) SetFaults(direction Direction, wanted Faults) error {
	if err := wanted.validate(); err != nil {
		return fmt.Errorf("set faults %s %s: %w", direction, n.Name, err)
	}
	if n.rack.ports != nil {
		return fmt.Errorf("set faults %s %s: %w", direction, n.Name, errSwitched)
	}
	key := n.direction(direction)
	f := n.rack.faults
	err := f.change(key, func() {
		if wanted.silent() {
			delete(f.wanted, key)
		} else {
			f.wanted[key] = wanted
		}
	})
	if err != nil {
		return fmt.Errorf("set faults %s %s: %w", direction, n.Name, err)
	}
	return nil
}

// silent says that no frame can meet a fault.
func (f Faults) silent() bool {
	return f.Loss == 0 && f.Duplicate == 0 && f.Delay == 0 && f.Reorder == 0
}

// Cut drops every frame in one direction, on top of the other faults, until
// Mend. To cut one direction is a one-way partition, to cut both a full one.
func (n *Node) Cut(direction Direction) error { return n.setCut(direction, true) }

// Mend ends a Cut.
func (n *Node) Mend(direction Direction) error { return n.setCut(direction, false) }

func (n *Node) setCut(direction Direction, cut bool) error {
	if n.rack.ports != nil {
		return fmt.Errorf("cut or mend %s %s: %w", direction, n.Name, errSwitched)
	}
	key := n.direction(direction)
	f := n.rack.faults
	err := f.change(key, func() {
		if cut {
			f.cut[key] = true
		} else {
			delete(f.cut, key)
		}
	})
	if err != nil {
		return fmt.Errorf("cut or mend %s %s: %w", direction, n.Name, err)
	}
	return nil
}

// Counters reads the counters of one direction of the node's link.
func (n *Node) Counters(direction Direction) (Counters, error) {
	f := n.rack.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return Counters{}, fmt.Errorf("read counters %s %s: %w", direction, n.Name, ErrClosed)
	}
	return f.counters(n.direction(direction))
}
