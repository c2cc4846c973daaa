// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"dalio/impl/client"
	"dalio/impl/cluster"
	"dalio/impl/coordinator"
	"dalio/impl/fabric"
)

// shard is a running shard, as its state file describes it, or as no more than its
// coordinator's address does.
type shard struct {
	dir         string
	Ready       bool `json:"ready"`
	Coordinator struct {
		PID          int    `json:"pid"`
		NetNS        string `json:"netns"`
		Device       string `json:"dev"`
		Address      string `json:"address"`
		StatusSocket string `json:"status_socket"`
	} `json:"coordinator"`
	Client struct {
		NetNS   string `json:"netns"`
		Address string `json:"address"`
	} `json:"client"`
}

// addressedShard is one of which only the coordinator's address is known.
func addressedShard(address string) *shard {
	s := &shard{Ready: true}
	s.Coordinator.Address = address
	return s
}

// openShard reads the state file in a folder.
func openShard(dir string) (*shard, error) {
	path := filepath.Join(dir, cluster.StateFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no shard runs in %s: there is no %s; start one with: dalio up --dir %s", dir, path, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read the shard's state: %w", err)
	}
	s, err := parseShard(data)
	if err != nil {
		return nil, fmt.Errorf("%s is not the state of a shard that is ready: %w; end dalio up and start it again", path, err)
	}
	s.dir = dir
	return s, nil
}

// parseShard reads what dalio up wrote into the state file.
func parseShard(data []byte) (*shard, error) {
	s := &shard{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, err
	}
	address, err := netip.ParseAddrPort(s.Coordinator.Address)
	switch {
	case !s.Ready:
		return nil, errors.New("it does not say so")
	case err != nil || !address.Addr().Is4():
		return nil, fmt.Errorf("the coordinator's address is %q, no IP:PORT", s.Coordinator.Address)
	case s.Client.NetNS == "" || s.Client.NetNS != filepath.Base(s.Client.NetNS):
		return nil, fmt.Errorf("the client's network namespace is %q, no name", s.Client.NetNS)
	}
	return s, nil
}

// dial returns a client in the client's network namespace, or in this process's if
// the shard has none for clients.
func (s *shard) dial(ctx context.Context) (*client.Client, error) {
	if s.Client.NetNS == "" {
		return client.Dial(ctx, s.Coordinator.Address, client.Options{})
	}
	space, err := fabric.OpenNamespace(s.Client.NetNS)
	if err != nil {
		return nil, fmt.Errorf("%w; does dalio up --dir %s still run?", err, s.dir)
	}
	defer space.Close()
	var socket net.PacketConn
	err = space.Do(func() error {
		to, err := net.ResolveUDPAddr("udp4", s.Coordinator.Address)
		if err != nil {
			return err
		}
		socket, err = net.DialUDP("udp4", nil, to)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open a socket in network namespace %s: %w (root is needed)", s.Client.NetNS, err)
	}
	c, err := client.Dial(ctx, s.Coordinator.Address, client.Options{Conn: socket})
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return c, nil
}

// status asks the coordinator's control plane.
func (s *shard) status(ctx context.Context) (*coordinator.Status, error) {
	return coordinator.FetchStatus(ctx, s.Coordinator.StatusSocket)
}
