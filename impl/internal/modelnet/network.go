// SPDX-License-Identifier: Apache-2.0

package modelnet

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// queueSize is how many datagrams wait at an endpoint; more are lost, as at a
// socket whose receive buffer is full.
const queueSize = 1024

// Faults says what becomes of datagrams. The zero value delivers each at once.
type Faults struct {
	// Loss and Duplicate are probabilities.
	Loss, Duplicate float64
	// A datagram takes between MinDelay and MaxDelay, so that a wide range
	// reorders.
	MinDelay, MaxDelay time.Duration
}

// Tally counts what the network did.
type Tally struct{ Sent, Lost, Duplicated, Overflowed int }

// Network carries datagrams between endpoints. It is safe for concurrent use.
type Network struct {
	mu        sync.Mutex
	random    *rand.Rand
	faults    Faults
	cut       func(from, to netip.AddrPort) bool
	endpoints map[netip.AddrPort]func(payload []byte, from netip.AddrPort) bool
	tally     Tally
	nextPort  uint16
}

// New returns a network whose faults are drawn from the seed.
func New(seed uint64, f Faults) *Network {
	return &Network{random: rand.New(rand.NewPCG(seed, 0)), faults: f, nextPort: 40000,
		endpoints: make(map[netip.AddrPort]func([]byte, netip.AddrPort) bool)}
}

// SetFaults changes the faults from now on.
func (n *Network) SetFaults(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = f
}

// Cut loses every datagram for which the function returns true; nil heals.
func (n *Network) Cut(cut func(from, to netip.AddrPort) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = cut
}

// Tally returns what the network has done so far.
func (n *Network) Tally() Tally {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tally
}

// Handle calls a function for every datagram to an address, for several at once
// if they arrive at the same time. The function returns false for one that it has
// no room for.
func (n *Network) Handle(at netip.AddrPort, deliver func(payload []byte, from netip.AddrPort) bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.endpoints[at] != nil {
		return fmt.Errorf("modelnet: %v is taken", at)
	}
	n.endpoints[at] = deliver
	return nil
}

func (n *Network) remove(at netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.endpoints, at)
}

// Send sends a copy of the payload on its way.
func (n *Network) Send(payload []byte, from, to netip.AddrPort) {
	n.mu.Lock()
	n.tally.Sent++
	var delays []time.Duration
	switch {
	case n.cut != nil && n.cut(from, to), n.random.Float64() < n.faults.Loss:
		n.tally.Lost++
	case n.random.Float64() < n.faults.Duplicate:
		n.tally.Duplicated++
		delays = []time.Duration{n.delay(), n.delay()}
	default:
		delays = []time.Duration{n.delay()}
	}
	n.mu.Unlock()
	payload = append([]byte(nil), payload...)
	for _, d := range delays {
		if d == 0 {
			n.deliver(payload, from, to)
		} else {
			time.AfterFunc(d, func() { n.deliver(payload, from, to) })
		}
	}
}

func (n *Network) delay() time.Duration {
	return n.faults.MinDelay + time.Duration(n.random.Int64N(int64(n.faults.MaxDelay-n.faults.MinDelay)+1))
}

func (n *Network) deliver(payload []byte, from, to netip.AddrPort) {
	n.mu.Lock()
	endpoint := n.endpoints[to]
	n.mu.Unlock()
	if endpoint != nil && !endpoint(payload, from) {
		n.mu.Lock()
		n.tally.Overflowed++
		n.mu.Unlock()
	}
}

// Listen returns a socket at an address; port 0 takes a free one.
func (n *Network) Listen(at netip.AddrPort) (net.PacketConn, error) {
	if at.Port() == 0 {
		n.mu.Lock()
		n.nextPort++
		at = netip.AddrPortFrom(at.Addr(), n.nextPort)
		n.mu.Unlock()
	}
	s := &socket{network: n, at: at, queue: make(chan datagram, queueSize), closed: make(chan struct{}),
		expired: make(chan struct{})}
	if err := n.Handle(at, s.receive); err != nil {
		return nil, err
	}
	return s, nil
}
