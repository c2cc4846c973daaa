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
	"strings"

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
	// Coordinators has all of them, that one included, if the members can change.
	Coordinators []struct {
		Address      string `json:"address"`
		StatusSocket string `json:"status_socket"`
	} `json:"coordinators"`
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

// addresses returns those of all coordinators, with commas between.
func (s *shard) addresses() string {
	all := []string{s.Coordinator.Address}
	for _, c := range s.Coordinators {
		if c.Address != s.Coordinator.Address {
			all = append(all, c.Address)
		}
	}
	return strings.Join(all, ",")
}

// sockets returns the status sockets of all coordinators, the one first that was
// active when the state file was written.
func (s *shard) sockets() []string {
	all := []string{s.Coordinator.StatusSocket}
	for _, c := range s.Coordinators {
		if c.StatusSocket != s.Coordinator.StatusSocket {
			all = append(all, c.StatusSocket)
		}
	}
	return all
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
		socket, err = net.ListenUDP("udp4", nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open a socket in network namespace %s: %w (root is needed)", s.Client.NetNS, err)
	}
	c, err := client.Dial(ctx, s.addresses(), client.Options{Conn: socket})
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return c, nil
}

// status asks the control plane of the coordinator that serves, or of another one
// if none does.
func (s *shard) status(ctx context.Context) (*coordinator.Status, error) {
	_, status, err := find(ctx, s.sockets(), func(s *coordinator.Status) bool { return isActive(s) || s.Role == coordinator.RoleFixed })
	if status == nil {
		_, status, err = find(ctx, s.sockets(), isAny)
	}
	if status == nil {
		return nil, err
	}
	return status, nil
}
