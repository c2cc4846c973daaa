// SPDX-License-Identifier: Apache-2.0

package modelnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"dalio/impl/client"
	"dalio/impl/replica"
	"dalio/protocol"
)

// Shard is a coordinator, which is the model, and replicas, which are real, on a
// Network.
type Shard struct {
	Network     *Network
	Coordinator *Coordinator
	Replicas    []*replica.Server

	address netip.AddrPort
	ctx     context.Context
	cancel  context.CancelFunc
	ended   []chan error
	stops   []context.CancelFunc
}

// NewShard starts a shard with replicas in memory and a session table of the
// size given. It must be closed.
func NewShard(n *Network, replicas, sessions int) (*Shard, error) {
	s := &Shard{Network: n, address: at(1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	var addresses []netip.AddrPort
	for i := range replicas {
		addresses = append(addresses, at(2+i))
	}
	s.Coordinator = NewCoordinator(s.address, sessions, addresses...)
	if err := s.Coordinator.Join(n); err != nil {
		return nil, err
	}
	for i, a := range addresses {
		if err := s.startReplica(i, a); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (s *Shard) startReplica(i int, a netip.AddrPort) error {
	conn, err := s.Network.Listen(a)
	if err != nil {
		return err
	}
	server, err := replica.New(conn, replica.Options{ID: protocol.ReplicaID(protocol.MaxMembers + i), Epoch: 1})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(s.ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	s.Replicas, s.ended, s.stops = append(s.Replicas, server), append(s.ended, ended), append(s.stops, stop)
	return nil
}

// Stop ends one replica.
func (s *Shard) Stop(i int) { s.stops[i]() }

// ReplicaAddress returns the address of a replica.
func (s *Shard) ReplicaAddress(i int) netip.AddrPort { return at(2 + i) }

// Dial returns a client with a port of its own on a host of the network.
func (s *Shard) Dial(host int, o client.Options) (*client.Client, error) {
	return s.DialFrom(netip.AddrPortFrom(at(host).Addr(), 0), o)
}

// DialFrom returns a client with the address given.
func (s *Shard) DialFrom(address netip.AddrPort, o client.Options) (*client.Client, error) {
	var err error
	if o.Conn, err = s.Network.Listen(address); err != nil {
		return nil, err
	}
	return client.Dial(context.Background(), s.address.String(), o)
}

// Close ends the shard's replicas and waits for them.
func (s *Shard) Close() error {
	s.cancel()
	var problems []error
	for i, ended := range s.ended {
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
			problems = append(problems, fmt.Errorf("replica %d: %w", i, err))
		}
	}
	return errors.Join(problems...)
}

// at returns the address of a host of the network.
func at(host int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(host >> 8), byte(host)}), protocol.Port)
}
