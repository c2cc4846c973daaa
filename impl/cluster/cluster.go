// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"dalio/impl/fabric"
	"dalio/protocol"
)

const (
	// StateFile is the file in a shard's folder that says what runs.
	StateFile = "state.json"

	readyTimeout = 30 * time.Second
	// endTimeout is how long children have to end in good order.
	endTimeout = 5 * time.Second

	coordinatorHost = 1
	firstReplica    = 11
	clientHost      = 100

	// Each node has one device of this name.
	device = "eth0"
)

// Options of a shard.
type Options struct {
	// Dir is where the state file, the status socket and the logs go.
	Dir string
	// Replicas is how many, 1 to 16.
	Replicas int
	// Executable is the dalio command.
	Executable string
	// Object is a data plane to load in place of the built-in one.
	Object string
	// Sessions is the size of the session table, 0 for the usual one.
	Sessions int
	// Seed determines the faults of the network, of which there are none until
	// SetFaults.
	Seed uint64
}

// Cluster is a running shard.
type Cluster struct {
	Rack        *fabric.Rack
	Coordinator *Process
	Replicas    []*Process
	// Client is a node with nothing on it, for clients.
	Client *fabric.Node
	// Address is where clients reach the coordinator.
	Address string
	// StatusSocket is where the coordinator tells its status.
	StatusSocket string

	dir    string
	close  func() error
	mu     sync.Mutex
	unhook func() bool
}

// Start runs a shard and returns when it serves. The shard is closed when ctx is
// done.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if o.Replicas < 1 || o.Replicas > protocol.MaxMembers {
		return nil, fmt.Errorf("start shard: %d replicas, want 1 to %d", o.Replicas, protocol.MaxMembers)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("start shard: %w", err)
	}
	logs := filepath.Join(dir, "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, fmt.Errorf("start shard: %w", err)
	}
	// The state of a shard that was killed must not be taken for this one's.
	if err := removeFile(filepath.Join(dir, StateFile)); err != nil {
		return nil, fmt.Errorf("start shard: %w", err)
	}
	// The end of ctx ends the processes in good order before the network.
	rack, err := fabric.New(context.WithoutCancel(ctx), fabric.Options{Seed: o.Seed})
	if err != nil {
		return nil, fmt.Errorf("start shard: %w", err)
	}
	c := &Cluster{Rack: rack, dir: dir, StatusSocket: filepath.Join(dir, "coordinator.sock")}
	c.close = sync.OnceValue(c.shutdown)
	c.unhook = func() bool { return false }
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := c.start(ready, o, logs); err != nil {
		return nil, errors.Join(fmt.Errorf("start shard: %w", err), c.Close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Whoever closes the shard next learns of an error that is lost here.
	c.unhook = context.AfterFunc(ctx, func() { _ = c.Close() })
	return c, nil
}

func (c *Cluster) start(ctx context.Context, o Options, logs string) error {
	var err error
	if c.Client, err = c.Rack.AddNode("client", clientHost); err != nil {
		return err
	}
	coordinator, err := c.Rack.AddNode("coordinator", coordinatorHost)
	if err != nil {
		return err
	}
	c.Address = fmt.Sprintf("%s:%d", coordinator.Addr, protocol.Port)
	args := []string{"coordinator", "--dev", device, "--listen", c.Address, "--status-socket", c.StatusSocket}
	if o.Object != "" {
		args = append(args, "--object", o.Object)
	}
	if o.Sessions != 0 {
		args = append(args, "--sessions", fmt.Sprint(o.Sessions))
	}
	launch := func(node *fabric.Node, args ...string) (*Process, error) {
		// The log of an earlier shard would be taken for this one's.
		if err := removeFile(filepath.Join(logs, node.Name+".log")); err != nil {
			return nil, err
		}
		return start(ctx, node, o.Executable, logs, args...)
	}
	for i := range o.Replicas {
		node, err := c.Rack.AddNode(fmt.Sprintf("replica%d", i), uint8(firstReplica+i))
		if err != nil {
			return err
		}
		id, listen := fmt.Sprint(ReplicaID(i)), fmt.Sprintf("%s:%d", node.Addr, protocol.Port)
		replica, err := launch(node, "replica", "--id", id, "--listen", listen, "--epoch", "1")
		if err != nil {
			return err
		}
		c.Replicas = append(c.Replicas, replica)
		args = append(args, "--replica", id+"="+listen)
	}
	if c.Coordinator, err = launch(coordinator, args...); err != nil {
		return err
	}
	return c.writeState()
}

// ReplicaID is the id of the replica with the index, in its first membership.
func ReplicaID(index int) protocol.ReplicaID {
	return protocol.ReplicaID(protocol.MaxMembers + index)
}

// state is the shape of the state file.
type state struct {
	Ready       bool             `json:"ready"`
	Coordinator coordinatorState `json:"coordinator"`
	Replicas    []replicaState   `json:"replicas"`
	Client      clientState      `json:"client"`
}

type coordinatorState struct {
	PID          int    `json:"pid"`
	NetNS        string `json:"netns"`
	Device       string `json:"dev"`
	Address      string `json:"address"`
	StatusSocket string `json:"status_socket"`
}

type replicaState struct {
	ID      uint32 `json:"id"`
	PID     int    `json:"pid"`
	NetNS   string `json:"netns"`
	Address string `json:"address"`
}

type clientState struct {
	NetNS   string `json:"netns"`
	Address string `json:"address"`
}

// writeState writes the state file, whole or not at all.
func (c *Cluster) writeState() error {
	s := state{
		Ready:       true,
		Coordinator: coordinatorState{c.Coordinator.PID, c.Coordinator.Node.NetNS(), device, c.Address, c.StatusSocket},
		Client:      clientState{c.Client.NetNS(), c.Client.Addr.String()},
	}
	for i, r := range c.Replicas {
		s.Replicas = append(s.Replicas, replicaState{uint32(ReplicaID(i)), r.PID, r.Node.NetNS(),
			fmt.Sprintf("%s:%d", r.Node.Addr, protocol.Port)})
	}
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the shard's state: %w", err)
	}
	path := filepath.Join(c.dir, StateFile)
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the shard's state: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the shard's state: %w", err)
	}
	return nil
}

// SetFaults gives every link the same faults, in both directions.
func (c *Cluster) SetFaults(f fabric.Faults) error {
	for _, node := range c.nodes() {
		for _, d := range []fabric.Direction{fabric.ToNode, fabric.FromNode} {
			if err := node.SetFaults(d, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// Frames adds up what the links counted, in both directions.
func (c *Cluster) Frames() (fabric.Counters, error) {
	var total fabric.Counters
	for _, node := range c.nodes() {
		for _, d := range []fabric.Direction{fabric.ToNode, fabric.FromNode} {
			counted, err := node.Counters(d)
			if err != nil {
				return total, err
			}
			total.Seen += counted.Seen
			total.Dropped += counted.Dropped
			total.Duplicated += counted.Duplicated
			total.Delayed += counted.Delayed
			total.Reordered += counted.Reordered
			total.Undelayed += counted.Undelayed
			total.Failed += counted.Failed
			total.Released += counted.Released
		}
	}
	return total, nil
}

func (c *Cluster) nodes() []*fabric.Node {
	nodes := []*fabric.Node{c.Client, c.Coordinator.Node}
	for _, r := range c.Replicas {
		nodes = append(nodes, r.Node)
	}
	return nodes
}

// processes lists what was started, so far.
func (c *Cluster) processes() []*Process {
	if c.Coordinator == nil {
		return c.Replicas
	}
	return append([]*Process{c.Coordinator}, c.Replicas...)
}

// Restart kills a process of the shard, if it still runs, and starts the same
// command in its place, waiting until it is ready. A replica comes back empty
// under the id that acknowledged writes: a fault for an audit to find. Only one
// goroutine may use the shard's processes meanwhile.
func (c *Cluster) Restart(ctx context.Context, old *Process) (*Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := old.Kill(); err != nil {
		return nil, fmt.Errorf("restart: %w", err)
	}
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	renewed, err := start(ready, old.Node, old.cmd.Path, filepath.Dir(old.log), old.cmd.Args[1:]...)
	if err != nil {
		return nil, fmt.Errorf("restart: %w", err)
	}
	if c.Coordinator == old {
		c.Coordinator = renewed
	}
	if i := slices.Index(c.Replicas, old); i >= 0 {
		c.Replicas[i] = renewed
	}
	return renewed, c.writeState()
}

// Close ends the processes, in good order if they are up to it, and takes the
// network down. Later calls wait for the first and return what it returned.
func (c *Cluster) Close() error { return c.close() }

func (c *Cluster) shutdown() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unhook()
	var problems []error
	// A coordinator that was killed has left its socket.
	for _, path := range []string{filepath.Join(c.dir, StateFile), c.StatusSocket} {
		problems = append(problems, removeFile(path))
	}
	children := c.processes()
	for _, p := range children {
		problems = append(problems, p.Signal(syscall.SIGTERM), p.Signal(syscall.SIGCONT))
	}
	patience, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	for _, p := range children {
		select {
		case <-p.Done():
		case <-patience.Done():
			problems = append(problems, p.Kill())
		}
	}
	return errors.Join(append(problems, c.Rack.Close())...)
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
