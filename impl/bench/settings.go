// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"math/bits"

	"dalio/protocol"
)

// Bounds of Settings, which the program of the surroundings has too.
const (
	maxLanes = 1024
	// maxInFlight leaves something in a ring of 256 for writes that come in bursts.
	maxInFlight = 224
	maxKeys     = 1 << 30
	// maxRegisters is how many keys the surroundings tell apart when they judge
	// versions; see surroundings.h.
	maxRegisters = 4096
	// maxSizes bounds key and value together by what the surroundings can store at once.
	maxSizes = 1128
	// maxSocketSizes does so for coordinators in user space, by what the kernel always
	// leaves free in front of a frame: what came from a socket has no room behind it, and
	// an answer without a payload becomes a write.
	maxSocketSizes = 192
	minKey         = 16

	epoch     = 1
	firstPort = 20000
	// clientHosts is how many client addresses the lanes are spread over, and
	// maxClientHosts how many there may be.
	clientHosts    = 16
	maxClientHosts = 64
)

// ErrSettings is returned for settings that can't work.
var ErrSettings = errors.New("bad benchmark settings")

// Settings say what load the surroundings make.
type Settings struct {
	// Replicas must all acknowledge writes, and all serve reads.
	Replicas int `json:"replicas"`
	// InFlight is how many frames are on their way at a time, on average. A veth
	// ring holds 256, and overflows if there are more in one direction.
	InFlight int `json:"frames_in_flight"`
	// Lanes is the number of clients, each with one request open; 0 is as many as
	// make InFlight frames.
	Lanes int `json:"lanes"`
	// ClientHosts is how many addresses the lanes are spread over; 0 stands for 16.
	ClientHosts int `json:"client_hosts,omitempty"`
	// Keys beyond 4096 share what is known of their versions with others: the
	// coordinator sees as many keys, and the surroundings need no more memory.
	Keys int `json:"keys"`
	// KeySize and ValueSize are in bytes.
	KeySize   int `json:"key_size"`
	ValueSize int `json:"value_size"`
	// CoordinatorCPU is where the coordinator runs with all that receives for
	// it, SurroundingsCPU is for everything else.
	CoordinatorCPU  int `json:"coordinator_cpu"`
	SurroundingsCPU int `json:"surroundings_cpu"`
}

// DefaultSettings returns the settings of the contracted ratios. 192 frames keep a
// coordinator busy that takes them 64 at a time, and leave rings some room.
func DefaultSettings() Settings {
	return Settings{Replicas: 3, InFlight: 192, Keys: 1024, KeySize: 16, ValueSize: 64, CoordinatorCPU: 1}
}

func (s Settings) validate() error {
	switch {
	case s.Replicas < 1 || s.Replicas > protocol.MaxMembers:
		return fmt.Errorf("%w: %d replicas, want 1 to %d", ErrSettings, s.Replicas, protocol.MaxMembers)
	case s.InFlight < s.Replicas || s.InFlight > maxInFlight:
		return fmt.Errorf("%w: %d frames in flight, want %d, one for each replica, to %d", ErrSettings, s.InFlight, s.Replicas, maxInFlight)
	case s.Lanes < 0 || s.Lanes > maxLanes:
		return fmt.Errorf("%w: %d lanes, want 1 to %d, or 0 for as many as there may be frames in flight", ErrSettings, s.Lanes, maxLanes)
	case s.ClientHosts < 0 || s.ClientHosts > maxClientHosts:
		return fmt.Errorf("%w: %d client addresses, want 1 to %d, or 0 for %d", ErrSettings, s.ClientHosts, maxClientHosts, clientHosts)
	case s.Keys < 1 || s.Keys > maxKeys:
		return fmt.Errorf("%w: %d keys, want 1 to %d", ErrSettings, s.Keys, maxKeys)
	case s.KeySize < minKey || s.ValueSize < 1 || s.KeySize+s.ValueSize > maxSizes:
		return fmt.Errorf("%w: keys of %d and values of %d bytes, want keys of %d or more, and %d together at most",
			ErrSettings, s.KeySize, s.ValueSize, minKey, maxSizes)
	case s.CoordinatorCPU == s.SurroundingsCPU:
		return fmt.Errorf("%w: coordinator and surroundings share processor %d", ErrSettings, s.CoordinatorCPU)
	}
	return nil
}

// fitSockets says whether what comes from a socket has room for keys and values.
func (s Settings) fitSockets() error {
	if sizes := s.KeySize + s.ValueSize; sizes > maxSocketSizes {
		return fmt.Errorf("%w: keys and values of %d bytes together, and what comes from a socket has room for %d", ErrSettings, sizes, maxSocketSizes)
	}
	return nil
}

// self is the coordinator's address, the same in every site: sites share no network.
func self() protocol.Address {
	return protocol.Address{IP: [4]byte{10, 78, 0, 1}, Port: protocol.Port, MAC: [6]byte{2, 0xda, 10, 78, 0, 1}}
}

// members are the replicas that the surroundings play.
func (s Settings) members() []protocol.Member {
	var members []protocol.Member
	for i := range s.Replicas {
		host := byte(11 + i)
		members = append(members, protocol.Member{
			ID: protocol.ReplicaID(1<<4 | i),
			Address: protocol.Address{IP: [4]byte{10, 78, 0, host}, Port: protocol.Port,
				MAC: [6]byte{2, 0xda, 10, 78, 0, host}},
		})
	}
	return members
}

// registers is the largest power of two that is not above the number of keys, and
// within what the surroundings have.
func (s Settings) registers() int {
	return 1 << (bits.Len(uint(min(s.Keys, maxRegisters))) - 1)
}

// client is the address of a lane.
func (s Settings) client(lane int) protocol.Address {
	host := byte(100 + lane%s.hosts())
	return protocol.Address{IP: [4]byte{10, 78, 0, host}, Port: uint16(firstPort + lane),
		MAC: [6]byte{2, 0xda, 10, 78, 0, host}}
}

func (s Settings) hosts() int {
	if s.ClientHosts == 0 {
		return clientHosts
	}
	return s.ClientHosts
}

// lanesFor returns how many lanes with this work make InFlight frames: a read has
// one on its way, a write one for each replica.
func (s Settings) lanesFor(w Work) int {
	return max(1, s.InFlight*1000/(1000+(s.Replicas-1)*w.Writes))
}

// Load says how much load there is, for people.
func (s Settings) Load() string {
	if s.Lanes > 0 {
		return fmt.Sprintf("%d clients with one request open each", s.Lanes)
	}
	return fmt.Sprintf("about %d frames in flight", s.InFlight)
}

// neighbors are the addresses that a coordinator's host must be able to reach.
func (s Settings) neighbors() []protocol.Address {
	var all []protocol.Address
	for _, m := range s.members() {
		all = append(all, m.Address)
	}
	for i := range min(s.hosts(), s.Lanes) {
		all = append(all, s.client(i))
	}
	return all
}
