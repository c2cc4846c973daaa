// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"

	"dalio/impl/cluster"
	"dalio/impl/fabric"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// name is that of the shard, which replicas are told in each epoch.
const name = "whole-system"

// shard is what all contenders coordinate: replicas, each a process, in a rack whose
// first node is for the coordinator. Each contender has an epoch of its own.
type shard struct {
	*cluster.Cluster
	// node is the coordinator's, and at where it listens.
	node     *fabric.Node
	at       netip.AddrPort
	members  []protocol.Member
	controls []*control.Client
	epoch    protocol.Epoch
}

// startShard starts the replicas, for so many keys. Nobody coordinates them until a
// contender does.
func startShard(ctx context.Context, s Settings, keys int, executable, dir string) (*shard, error) {
	reads := []string{"--kernel-reads=on", "--kernel-keys", strconv.Itoa(2 * keys), "--kernel-room", strconv.Itoa(s.room())}
	c, err := cluster.Start(ctx, cluster.Options{Dir: filepath.Join(dir, "shard"), Replicas: s.Replicas, Executable: executable,
		ReplicaFlags: reads, Switched: true, Seed: 1})
	if err != nil {
		return nil, err
	}
	sh := &shard{Cluster: c, node: c.Coordinator.Node, epoch: 1}
	for i, p := range c.Replicas {
		at := netip.AddrPortFrom(p.Node.Addr, protocol.Port)
		sh.members = append(sh.members, protocol.Member{ID: cluster.ReplicaID(i), Address: addressOf(p.Node)})
		sh.controls = append(sh.controls, control.NewClient(at, control.Options{Dial: c.Client.Dialer(net.Dialer{})}))
	}
	sh.at = netip.AddrPortFrom(sh.node.Addr, protocol.Port)
	// The coordinator that every shard starts with has done what it was needed for.
	if err := c.Coordinator.Kill(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return sh, nil
}

func addressOf(n *fabric.Node) protocol.Address {
	return protocol.Address{IP: n.Addr.As4(), Port: protocol.Port, MAC: [6]byte(n.MAC)}
}

// advance ends the epoch: the replicas answer nobody any more until the next one
// opens, as when a coordinator takes over from another.
func (s *shard) advance(ctx context.Context) error {
	s.epoch++
	for _, r := range s.controls {
		if _, err := r.Fence(ctx, control.Fence{Shard: name, Epoch: s.epoch}); err != nil {
			return fmt.Errorf("end the epoch: %w", err)
		}
	}
	for _, r := range s.controls {
		if err := r.Open(ctx, s.epoch); err != nil {
			return fmt.Errorf("begin an epoch: %w", err)
		}
	}
	return nil
}

// Close ends the replicas and takes the rack down.
func (s *shard) Close() error {
	for _, r := range s.controls {
		r.Close()
	}
	return s.Cluster.Close()
}
