// SPDX-License-Identifier: Apache-2.0

// Package embedded runs an etcd of one member inside a process, for a shard that
// has no etcd to share. It is apart from package config because it is large.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"dalio/impl/internal/unixsocket"
)

const (
	// Socket is the name of the unix socket in the folder, by which processes in
	// any network namespace reach the server.
	Socket = "etcd.sock"

	peerSocket = "peer.sock"
	memberName = "dalio"

	// A member alone need not wait long for others to speak up.
	tickMs, electionMs = 10, 100
)

// Server is a running etcd.
type Server struct {
	etcd     *embed.Etcd
	endpoint string
	done     []func()
	close    func()
}

// Start runs etcd with its data in a folder, which is made if it is missing and
// must be this process's alone, and returns when the server answers.
func Start(ctx context.Context, dir string) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	s := &Server{endpoint: "unix://" + filepath.Join(dir, Socket)}
	s.close = sync.OnceFunc(s.shutdown)
	if err := s.start(ctx, dir); err != nil {
		s.Close()
		return nil, fmt.Errorf("start etcd in %s: %w", dir, err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, dir string) error {
	c := embed.NewConfig()
	c.Name, c.Dir = memberName, filepath.Join(dir, "data")
	c.TickMs, c.ElectionMs = tickMs, electionMs
	c.AutoCompactionMode, c.AutoCompactionRetention = "revision", "1000"
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	var err error
	if c.ListenClientUrls, err = s.listenAt(dir, Socket); err != nil {
		return err
	}
	if c.ListenPeerUrls, err = s.listenAt(dir, peerSocket); err != nil {
		return err
	}
	// What is stored of the peer's address must not depend on where the folder is.
	peer := []url.URL{{Scheme: "unix", Path: "/" + peerSocket}}
	c.AdvertiseClientUrls, c.AdvertisePeerUrls = c.ListenClientUrls, peer
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	if s.etcd, err = embed.StartEtcd(c); err != nil {
		return err
	}
	select {
	case <-s.etcd.Server.ReadyNotify():
		return nil
	case err := <-s.etcd.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) listenAt(dir, name string) ([]url.URL, error) {
	// A server that was killed has left its socket.
	if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	address, done, err := unixsocket.Address(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	s.done = append(s.done, done)
	return []url.URL{{Scheme: "unix", Path: address}}, nil
}

// Endpoint is what config.Open takes.
func (s *Server) Endpoint() string { return s.endpoint }

// Failed gets an error if the server ends by itself.
func (s *Server) Failed() <-chan error { return s.etcd.Err() }

// Close ends the server and removes its sockets.
func (s *Server) Close() { s.close() }

func (s *Server) shutdown() {
	if s.etcd != nil {
		s.etcd.Close()
	}
	for _, done := range s.done {
		done()
	}
}
