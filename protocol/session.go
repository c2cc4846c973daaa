// SPDX-License-Identifier: Apache-2.0

package protocol

import "fmt"

// SessionID names one session for ever: the epoch in which it was opened (24
// bits), how often its slot had been opened before in that epoch (16 bits) and
// its slot in the coordinator's table (24 bits). 0 is none.
type SessionID uint64

const (
	slotBits  = 24
	countBits = 16
	maxCount  = 1<<countBits - 1
	// epochMask takes those bits of an epoch that an id has room for.
	epochMask = 1<<24 - 1
)

// MintSessionID puts an id together. Epochs beyond 24 bits are cut.
func MintSessionID(epoch Epoch, count uint16, slot int) SessionID {
	return SessionID(uint64(epoch)<<(slotBits+countBits) | uint64(count)<<slotBits | uint64(slot))
}

// Slot returns the session's place in the coordinator's table.
func (s SessionID) Slot() int { return int(s & (1<<slotBits - 1)) }

// Count returns how many sessions the slot has had in the id's epoch, this one
// included.
func (s SessionID) Count() uint16 { return uint16(s >> slotBits) }

// Epoch returns the low 24 bits of the epoch in which the session was opened.
func (s SessionID) Epoch() Epoch { return Epoch(s >> (slotBits + countBits)) }

func (s SessionID) String() string {
	return fmt.Sprintf("%d.%d@%d", s.Epoch(), s.Count(), s.Slot())
}
