// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"dalio/protocol"
)

// Config is the configuration of a shard. A Config is not changed in place: the
// methods that change one return a copy.
type Config struct {
	// Epoch is 0 only before the shard has been opened for the first time.
	Epoch protocol.Epoch `json:"epoch"`
	// Coordinator is the name of the one that owns the epoch.
	Coordinator string `json:"coordinator"`
	// Address is where clients reach the coordinator.
	Address netip.AddrPort `json:"address,omitzero"`
	// Members are the replicas that must acknowledge writes, by id.
	Members []Member `json:"members"`
	// Generation is the last one that was minted: the ids of two memberships
	// differ in it.
	Generation uint32 `json:"generation"`
	// MinMembers is how many members the shard must have to take writes.
	MinMembers int `json:"min_members"`
	// Sessions is the size of the session table.
	Sessions uint32 `json:"sessions"`
	// Replicas has the addresses that belong to the shard, members or not: whoever
	// answers there is joined.
	Replicas []Replica `json:"replicas"`
	// History has the last epochs, the newest last.
	History []Opening `json:"history"`
}

// Member is one membership of a replica.
type Member struct {
	ID      protocol.ReplicaID `json:"id"`
	Address netip.AddrPort     `json:"address"`
	// InSync: it holds every committed write, so it may be recovered from.
	InSync bool `json:"in_sync"`
}

// Replica is an address at which a replica of the shard may run.
type Replica struct {
	Address netip.AddrPort `json:"address"`
	// Drained: it is kept out of the shard until it is added again.
	Drained bool `json:"drained,omitempty"`
	// Replaces has the address that leaves the shard when this one is in sync.
	Replaces netip.AddrPort `json:"replaces,omitzero"`
}

// Opening is how an epoch began.
type Opening struct {
	Epoch       protocol.Epoch `json:"epoch"`
	Coordinator string         `json:"coordinator"`
	Reason      string         `json:"reason"`
	// Members are those with which it began; none before all of them have opened it.
	Members []protocol.ReplicaID `json:"members"`
	// At is in milliseconds since 1970, by the coordinator's clock.
	At int64 `json:"at"`
}

// historyKept bounds Config.History.
const historyKept = 16

// ErrInvalid is returned for a configuration that breaks its own rules.
var ErrInvalid = errors.New("invalid configuration")

// Clone returns a copy that shares nothing with c.
func (c Config) Clone() Config {
	c.Members, c.Replicas = slices.Clone(c.Members), slices.Clone(c.Replicas)
	c.History = slices.Clone(c.History)
	return c
}

// Member returns the member with the id.
func (c Config) Member(id protocol.ReplicaID) (Member, bool) {
	return find(c.Members, func(m Member) bool { return m.ID == id })
}

// MemberAt returns the member at the address.
func (c Config) MemberAt(a netip.AddrPort) (Member, bool) {
	return find(c.Members, func(m Member) bool { return m.Address == a })
}

// ReplicaAt returns the replica at the address.
func (c Config) ReplicaAt(a netip.AddrPort) (Replica, bool) {
	return find(c.Replicas, func(r Replica) bool { return r.Address == a })
}

func find[T any](all []T, is func(T) bool) (found T, ok bool) {
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], true
	}
	return found, false
}

// InSync returns how many members are in sync.
func (c Config) InSync() int {
	n := 0
	for _, m := range c.Members {
		if m.InSync {
			n++
		}
	}
	return n
}

// WithMember returns c with the member put in place of one of the same id, or added.
func (c Config) WithMember(m Member) Config {
	c = c.Clone()
	if i := slices.IndexFunc(c.Members, func(o Member) bool { return o.ID == m.ID }); i >= 0 {
		c.Members[i] = m
		return c
	}
	c.Members = append(c.Members, m)
	slices.SortFunc(c.Members, func(a, b Member) int { return int(a.ID) - int(b.ID) })
	return c
}

// WithoutMember returns c without the member.
func (c Config) WithoutMember(id protocol.ReplicaID) Config {
	c = c.Clone()
	c.Members = slices.DeleteFunc(c.Members, func(m Member) bool { return m.ID == id })
	return c
}

// WithReplica returns c with the replica put in place of one at the same address,
// or added.
func (c Config) WithReplica(r Replica) Config {
	c = c.Clone()
	if i := slices.IndexFunc(c.Replicas, func(o Replica) bool { return o.Address == r.Address }); i >= 0 {
		c.Replicas[i] = r
	} else {
		c.Replicas = append(c.Replicas, r)
	}
	return c
}

// WithoutReplica returns c without the address, and without the members and the
// replacement plans that name it. What is left of it is for the caller to check.
func (c Config) WithoutReplica(a netip.AddrPort) Config {
	c = c.Clone()
	c.Replicas = slices.DeleteFunc(c.Replicas, func(r Replica) bool { return r.Address == a })
	for i := range c.Replicas {
		if c.Replicas[i].Replaces == a {
			c.Replicas[i].Replaces = netip.AddrPort{}
		}
	}
	return c
}

// WithOpening returns c with the opening at the end of its history.
func (c Config) WithOpening(o Opening) Config {
	c = c.Clone()
	c.History = append(c.History, o)
	c.History = c.History[max(0, len(c.History)-historyKept):]
	return c
}

// IsOpened says whether the history knows with which members the epoch was opened.
func (c Config) IsOpened() bool {
	n := len(c.History)
	return n == 0 || c.History[n-1].Epoch != c.Epoch || len(c.History[n-1].Members) > 0
}

// Opened returns c with the members noted in the history, if IsOpened is false.
func (c Config) Opened() Config {
	c = c.Clone()
	if !c.IsOpened() {
		for _, member := range c.Members {
			c.History[len(c.History)-1].Members = append(c.History[len(c.History)-1].Members, member.ID)
		}
	}
	return c
}

// Mint returns c with a new id for a replica, whose index is in none of the sets
// given. It returns false if there is none.
func (c Config) Mint(taken ...uint16) (Config, protocol.ReplicaID, bool) {
	c = c.Clone()
	var used uint16
	for _, set := range taken {
		used |= set
	}
	for _, m := range c.Members {
		used |= 1 << m.ID.Index()
	}
	for index := range protocol.MaxMembers {
		if used>>index&1 == 0 {
			c.Generation++
			return c, protocol.ReplicaID(c.Generation*protocol.MaxMembers + uint32(index)), true
		}
	}
	return c, 0, false
}

// Check returns ErrInvalid if the configuration breaks a rule.
func (c Config) Check() error {
	byIndex, byAddress := map[int]protocol.ReplicaID{}, map[netip.AddrPort]bool{}
	for _, m := range c.Members {
		if other, ok := byIndex[m.ID.Index()]; ok {
			return fmt.Errorf("%w: members %d and %d have the same index", ErrInvalid, other, m.ID)
		}
		byIndex[m.ID.Index()] = m.ID
		if byAddress[m.Address] {
			return fmt.Errorf("%w: two members at %v", ErrInvalid, m.Address)
		}
		byAddress[m.Address] = true
		if generation := uint32(m.ID) / protocol.MaxMembers; generation == 0 || generation > c.Generation {
			return fmt.Errorf("%w: member %d was never minted; the last generation is %d", ErrInvalid, m.ID, c.Generation)
		}
	}
	switch {
	case c.Epoch != 0 && c.InSync() == 0:
		return fmt.Errorf("%w: no member is in sync", ErrInvalid)
	case c.Sessions == 0 || c.Sessions&(c.Sessions-1) != 0:
		return fmt.Errorf("%w: a session table of %d, want a power of two", ErrInvalid, c.Sessions)
	case c.MinMembers < 1 || c.MinMembers > protocol.MaxMembers:
		return fmt.Errorf("%w: at least %d members, want 1 to %d", ErrInvalid, c.MinMembers, protocol.MaxMembers)
	}
	return nil
}

func (c Config) encode() ([]byte, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	return json.Marshal(c)
}

func decode(b []byte) (Config, error) {
	var c Config
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c, c.Check()
}
