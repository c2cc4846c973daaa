// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"dalio/impl/chaos"
	"dalio/impl/cluster"
	"dalio/impl/coordinator"
	"dalio/impl/fabric"
	"dalio/impl/internal/failpoint"
	"dalio/impl/internal/unixsocket"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

const (
	coordinators = 2
	// restartAfter is after how long a process that has ended is started again.
	restartAfter = 100 * time.Millisecond
	askTimeout   = 300 * time.Millisecond
	wholePoll    = 50 * time.Millisecond
	adminPoll    = 10 * time.Millisecond
)

// shard is a cluster that can be broken.
type shard struct {
	*cluster.Cluster
	replicas int
	// served is the name of the coordinator that served when last asked.
	served string
}

// diskBytes is the size of a replica's disk. Pebble keeps several logs and memtables
// of 16 MiB.
const diskBytes = 256 << 20

func startShard(ctx context.Context, c config) (*shard, error) {
	// The processes of the shard inherit it.
	if err := os.Setenv(failpoint.Environment, "1"); err != nil {
		return nil, err
	}
	var disk int64
	if c.durable {
		disk = diskBytes
	}
	running, err := cluster.Start(ctx, cluster.Options{Dir: filepath.Join(c.dir, "shard"), Durable: c.durable, DiskBytes: disk, Replicas: c.replicas, Coordinators: coordinators, Events: c.events,
		Restart: restartAfter, Executable: c.executable, Seed: c.seed})
	if err != nil {
		return nil, err
	}
	s := &shard{Cluster: running, replicas: c.replicas}
	ready, cancel := context.WithTimeout(ctx, calm)
	defer cancel()
	if err := s.awaitWhole(ready); err != nil {
		return nil, errors.Join(fmt.Errorf("the shard does not become whole: %w", err), s.Close())
	}
	return s, nil
}

func (s *shard) listen() (*net.UDPConn, error) { return s.Client.ListenUDP(0) }

func (s *shard) addresses() string { return s.Addresses }

// awaitWhole waits until all replicas serve and a coordinator stands by.
func (s *shard) awaitWhole(ctx context.Context) error {
	_, err := s.AwaitWhole(ctx, wholePoll)
	return err
}

// Health asks the coordinators.
func (s *shard) Health(ctx context.Context) chaos.Health {
	h := s.Cluster.Health(ctx)
	if h.Active != nil {
		s.served = h.Active.Name
	}
	return chaos.Health{Serving: h.Active != nil, Members: h.Members, InSync: s.present(ctx, h.Status), Standby: h.Standby}
}

// present counts the serving members that are really there. The coordinator learns
// a moment late that one is gone, and that moment is enough to break the last one
// too that holds anything.
func (s *shard) present(ctx context.Context, status *coordinator.Status) int {
	if status == nil {
		return 0
	}
	var count atomic.Int64
	var asking sync.WaitGroup
	for _, m := range status.Members {
		address, err := netip.ParseAddrPort(m.Address)
		if err != nil || !m.Serving {
			continue
		}
		asking.Go(func() {
			replica := control.NewClient(address, control.Options{Timeout: askTimeout, Dial: s.dialer()})
			defer replica.Close()
			if told, err := replica.Status(ctx); err == nil && uint32(told.ID) == m.ID && told.Returned == nil {
				count.Add(1)
			}
		})
	}
	asking.Wait()
	return int(count.Load())
}

// dialer connects from the clients' node.
func (s *shard) dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	return s.Client.Dialer(net.Dialer{Timeout: askTimeout})
}

func (s *shard) Replicas() (nodes []chaos.Node) {
	for i := range s.replicas {
		nodes = append(nodes, &node{s, fmt.Sprint("replica", i), func(v cluster.View) *cluster.Process { return v.Replicas[i] }})
	}
	return nodes
}

func (s *shard) Coordinators() (nodes []chaos.Node) {
	for i := range coordinators {
		nodes = append(nodes, s.coordinator(i))
	}
	return nodes
}

func (s *shard) coordinator(i int) *node {
	return &node{s, fmt.Sprint("coordinator", i), func(v cluster.View) *cluster.Process { return v.Coordinators[i] }}
}

// active returns the index of the coordinator that served when the shard's health
// was last looked at, before each fault: the state file is a moment behind.
func (s *shard) active() int {
	return max(0, slices.IndexFunc(s.View().Coordinators, func(p *cluster.Process) bool { return p.Name == s.served }))
}

func (s *shard) Active() chaos.Node  { return s.coordinator(s.active()) }
func (s *shard) Standby() chaos.Node { return s.coordinator((s.active() + 1) % coordinators) }
func (s *shard) Clients() chaos.Node { return &node{s, "client", nil} }

// Admin asks for what an operator may want. A replica that is removed, drained, or
// replaced by itself, is added again when it is out.
func (s *shard) Admin(ctx context.Context, what string, replica chaos.Node) error {
	if what == "failover" {
		return s.post(ctx, s.Socket(s.Standby().(*node).process()), coordinator.FailoverPath, nil)
	}
	socket := s.Socket(s.Active().(*node).process())
	address := fmt.Sprintf("%s:%d", replica.(*node).fabric().Addr, protocol.Port)
	if what == "replace" {
		what = "remove"
	}
	if err := coordinator.ChangeMembers(ctx, socket, coordinator.MemberChange{Do: what, Replica: address}); err != nil {
		return err
	}
	for s.isMember(ctx, address) && ctx.Err() == nil {
		sleep(ctx, adminPoll)
	}
	for {
		err := coordinator.ChangeMembers(ctx, s.View().StatusSocket, coordinator.MemberChange{Do: "add", Replica: address})
		if err == nil || ctx.Err() != nil {
			return err
		}
		sleep(ctx, wholePoll)
	}
}

// isMember says whether the replica is one, as far as the shard tells.
func (s *shard) isMember(ctx context.Context, address string) bool {
	status := s.Cluster.Health(ctx).Status
	return status == nil || slices.ContainsFunc(status.Members, func(m coordinator.Member) bool { return m.Address == address })
}

// Etcd stops or continues what keeps the configuration.
func (s *shard) Etcd(_ context.Context, running bool) error {
	if running {
		return s.View().Etcd.Signal(syscall.SIGCONT)
	}
	return s.View().Etcd.Signal(syscall.SIGSTOP)
}

func (s *shard) Detach(context.Context) error {
	return cluster.DetachProgram(s.Active().(*node).fabric())
}
func (s *shard) Replace(context.Context) error {
	return cluster.ReplaceProgram(s.Active().(*node).fabric())
}

// post asks something of a coordinator on its status socket.
func (s *shard) post(ctx context.Context, socket, path string, form url.Values) error {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return unixsocket.Dial(ctx, socket) }
	return post(ctx, dial, "http://coordinator"+path, form)
}

func post(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), url string, form url.Values) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)) // What can't be read is missing from the error.
		return fmt.Errorf("%s: %s: %s", url, response.Status, strings.TrimSpace(string(text)))
	}
	return nil
}

// node is a host of the shard.
type node struct {
	shard *shard
	name  string
	// of finds its process, which changes; nil for the clients' node.
	of func(cluster.View) *cluster.Process
}

func (n *node) process() *cluster.Process { return n.of(n.shard.View()) }

func (n *node) fabric() *fabric.Node {
	if n.of == nil {
		return n.shard.Client
	}
	return n.process().Node
}

func (n *node) Name() string    { return n.name }
func (n *node) Kill() error     { return n.process().Kill() }
func (n *node) Stop() error     { return n.process().Signal(syscall.SIGSTOP) }
func (n *node) Continue() error { return n.process().Signal(syscall.SIGCONT) }

func (n *node) Watch() (ended func() bool) {
	p := n.process()
	return func() bool { return !p.Running() }
}

func (n *node) Cut(d fabric.Direction, cut bool) error {
	if cut {
		return n.fabric().Cut(d)
	}
	return n.fabric().Mend(d)
}

func (n *node) SetFaults(d fabric.Direction, f fabric.Faults) error {
	return n.fabric().SetFaults(d, f)
}

// Arm sets a failpoint, through the status socket of a coordinator or the control
// API of a replica.
func (n *node) Arm(ctx context.Context, point string, a failpoint.Action) error {
	form := url.Values{"name": {point}, "action": {string(a)}}
	p := n.process()
	if strings.HasPrefix(n.name, "coordinator") {
		return n.shard.post(ctx, n.shard.Socket(p), coordinator.FailpointsPath, form)
	}
	address := fmt.Sprintf("%s:%d", p.Node.Addr, protocol.Port)
	return post(ctx, n.shard.dialer(), "http://"+address+"/failpoints", form)
}

func (n *node) SetClock(ahead time.Duration) { n.fabric().SetClock(ahead) }

// FillDisk leaves no room on the replica's disk, or makes room again.
func (n *node) FillDisk(full bool) error { return n.shard.FillDisk(n.process().Name, full) }

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
