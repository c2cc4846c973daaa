// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

	firstCoordinator = 1
	firstReplica     = 11
	clientHost       = 100
	etcdHost         = 101
	// MaxCoordinators is how many there can be.
	MaxCoordinators = 4

	// Each node has one device of this name.
	device = "eth0"
)

// Options of a shard.
type Options struct {
	// Dir is where the state file, the status socket and the logs go.
	Dir string
	// Replicas is how many, 1 to 16.
	Replicas int
	// Coordinators is how many, of which one serves and the others stand by, with an
	// etcd for them. 0 is one whose members never change.
	Coordinators int
	// Durable replicas keep their data in a folder each below Dir, and so does etcd.
	// A shard that is started in Dir later goes on with it. Needs Coordinators.
	Durable bool
	// DiskBytes gives each durable replica a file system of its own, of that size and
	// in memory, for FillDisk. It ends with the shard. 0 is for none.
	DiskBytes int64
	// Restart is after how long a process that has ended is started again, 0 for
	// never.
	Restart time.Duration
	// Notice, if set, is told which processes end and are started again.
	Notice func(string)
	// Executable is the dalio command.
	Executable string
	// Object is a data plane to load in place of the built-in one.
	Object string
	// Sessions is the size of the session table, 0 for the usual one.
	Sessions int
	// CoordinatorFlags are more flags for every coordinator.
	CoordinatorFlags []string
	// Events has the processes record what they do, in the folder events below Dir.
	Events bool
	// Switched has frames pass an XDP program in place of the bridge: see
	// fabric.Options. The replicas must run with --kernel-reads=on, and there is neither
	// etcd nor faults.
	Switched bool
	// ReplicaFlags are more flags for every replica.
	ReplicaFlags []string
	// Seed determines the faults of the network, of which there are none until
	// SetFaults.
	Seed uint64
}

// Cluster is a running shard. Its processes are replaced as they are started again
// and its coordinator as another one takes over; View is for others to see them.
type Cluster struct {
	Rack *fabric.Rack
	// Coordinator is the one of the Coordinators that serves, as far as known.
	Coordinator  *Process
	Coordinators []*Process
	Replicas     []*Process
	// Etcd is nil if the members never change.
	Etcd *Process
	// Client is a node with nothing on it, for clients.
	Client *fabric.Node
	// Address is where clients reach the coordinator, Addresses all of them.
	Address, Addresses string
	// StatusSocket is where the coordinator tells its status.
	StatusSocket string

	dir string
	// pass is the program on the clients' device, if the rack is switched.
	pass       io.Closer
	durable    bool
	events     bool
	diskBytes  int64
	disks      []string
	logs       string
	executable string
	restart    time.Duration
	notice     func(string)
	close      func() error
	cancel     context.CancelFunc
	watching   sync.WaitGroup

	mu      sync.Mutex
	ids     map[string]protocol.ReplicaID
	closing bool
	unhook  func() bool
}

// Start runs a shard and returns when it serves. The shard is closed when ctx is
// done.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if o.Replicas < 1 || o.Replicas > protocol.MaxMembers {
		return nil, fmt.Errorf("start shard: %d replicas, want 1 to %d", o.Replicas, protocol.MaxMembers)
	}
	if o.Coordinators < 0 || o.Coordinators > MaxCoordinators {
		return nil, fmt.Errorf("start shard: %d coordinators, want 0 to %d", o.Coordinators, MaxCoordinators)
	}
	if o.Switched && o.Coordinators > 0 {
		return nil, errors.New("start shard: a switched one has no etcd, and so one coordinator whose members never change")
	}
	if o.Durable && o.Coordinators == 0 {
		return nil, errors.New("start shard: durable replicas need coordinators whose members can change")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("start shard: %w", err)
	}
	logs := filepath.Join(dir, "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, fmt.Errorf("start shard: %w", err)
	}
	if o.Events {
		if err := errors.Join(os.RemoveAll(EventsDir(dir)), os.MkdirAll(EventsDir(dir), 0o755)); err != nil {
			return nil, fmt.Errorf("start shard: %w", err)
		}
	}
	// The state of a shard that was killed must not be taken for this one's.
	if err := removeFile(filepath.Join(dir, StateFile)); err != nil {
		return nil, fmt.Errorf("start shard: %w", err)
	}
	// The end of ctx ends the processes in good order before the network.
	rack, err := fabric.New(context.WithoutCancel(ctx), fabric.Options{Seed: o.Seed, Switched: o.Switched})
	if err != nil {
		return nil, fmt.Errorf("start shard: %w", err)
	}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	c := &Cluster{Rack: rack, dir: dir, durable: o.Durable, events: o.Events, diskBytes: o.DiskBytes, logs: logs, executable: o.Executable,
		restart: o.Restart, notice: o.Notice, cancel: end, ids: map[string]protocol.ReplicaID{}}
	c.close = sync.OnceValue(c.shutdown)
	c.unhook = func() bool { return false }
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := c.start(ready, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start shard: %w", err), c.Close())
	}
	c.watch(running)
	c.mu.Lock()
	defer c.mu.Unlock()
	// Whoever closes the shard next learns of an error that is lost here.
	c.unhook = context.AfterFunc(ctx, func() { _ = c.Close() })
	return c, nil
}

func (c *Cluster) start(ctx context.Context, o Options) error {
	var err error
	if c.Client, err = c.Rack.AddNode("client", clientHost); err != nil {
		return err
	}
	if o.Switched {
		if c.pass, err = c.Client.AttachPass(); err != nil {
			return err
		}
	}
	shared := o.Coordinators > 0
	if shared {
		if err := c.startEtcd(ctx); err != nil {
			return err
		}
	}
	nodes, err := c.addCoordinators(max(1, o.Coordinators))
	if err != nil {
		return err
	}
	var replicas []string
	for i := range o.Replicas {
		node, err := c.Rack.AddNode(fmt.Sprintf("replica%d", i), uint8(firstReplica+i))
		if err != nil {
			return err
		}
		id, listen := fmt.Sprint(ReplicaID(i)), fmt.Sprintf("%s:%d", node.Addr, protocol.Port)
		// The rack's end of each link runs a program.
		args, named := []string{"replica", "--listen", listen, "--kernel-reads=try"}, listen
		if !shared {
			args, named = append(args, "--id", id, "--epoch", "1"), id+"="+listen
		}
		if c.durable {
			if err := c.makeDisk(node.Name); err != nil {
				return err
			}
			args = append(args, "--dir", c.dataDir(node.Name))
		}
		if o.Events {
			args = append(args, "--events", c.eventsOf(node))
		}
		args = append(args, o.ReplicaFlags...)
		replica, err := c.launch(ctx, node, args...)
		if err != nil {
			return err
		}
		c.Replicas = append(c.Replicas, replica)
		replicas = append(replicas, "--replica", named)
	}
	for i, node := range nodes {
		p, err := c.launch(ctx, node, c.coordinatorArgs(&o, node, i, replicas)...)
		if err != nil {
			return err
		}
		c.Coordinators = append(c.Coordinators, p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Coordinator = c.Coordinators[0]
	c.Address, c.StatusSocket = addressOf(c.Coordinator), c.socketOf(c.Coordinator)
	return c.writeState()
}

func (c *Cluster) startEtcd(ctx context.Context) error {
	node, err := c.Rack.AddNode("etcd", etcdHost)
	if err != nil {
		return err
	}
	// Nothing is kept from one shard to the next if its replicas are new ones.
	if !c.durable {
		if err := os.RemoveAll(c.etcdDir()); err != nil {
			return err
		}
	}
	c.Etcd, err = c.launch(ctx, node, "etcd", "--dir", c.etcdDir())
	return err
}

func (c *Cluster) etcdDir() string { return filepath.Join(c.dir, "etcd") }

func (c *Cluster) etcdEndpoint() string { return "unix://" + filepath.Join(c.etcdDir(), "etcd.sock") }

func (c *Cluster) addCoordinators(n int) (nodes []*fabric.Node, err error) {
	var addresses []string
	for i := range n {
		name := "coordinator"
		if i > 0 {
			name = fmt.Sprint("standby", i)
		}
		node, err := c.Rack.AddNode(name, uint8(firstCoordinator+i))
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, node)
		addresses = append(addresses, fmt.Sprintf("%s:%d", node.Addr, protocol.Port))
	}
	c.Addresses = strings.Join(addresses, ",")
	return nodes, nil
}

// coordinatorArgs returns the command line of the ith coordinator.
func (c *Cluster) coordinatorArgs(o *Options, node *fabric.Node, i int, replicas []string) []string {
	args := []string{"coordinator", "--dev", device, "--listen", fmt.Sprintf("%s:%d", node.Addr, protocol.Port),
		"--status-socket", filepath.Join(c.dir, node.Name+".sock")}
	if o.Coordinators > 0 {
		args = append(args, "--name", node.Name, "--etcd", c.etcdEndpoint(), "--pin-dir", fabric.PinDir)
	}
	if i > 0 {
		args = append(args, "--standby")
	} else {
		args = append(args, replicas...)
	}
	if o.Object != "" {
		args = append(args, "--object", o.Object)
	}
	if o.Sessions != 0 {
		args = append(args, "--sessions", fmt.Sprint(o.Sessions))
	}
	if o.Events {
		args = append(args, "--events", c.eventsOf(node))
	}
	return append(args, o.CoordinatorFlags...)
}

// EventsDir is where the processes of a shard in the folder record their events.
func EventsDir(dir string) string { return filepath.Join(dir, "events") }

func (c *Cluster) eventsOf(node *fabric.Node) string {
	return filepath.Join(EventsDir(c.dir), node.Name+".jsonl")
}

// launch starts a process whose log begins with it: that of an earlier shard would
// be taken for this one's.
func (c *Cluster) launch(ctx context.Context, node *fabric.Node, args ...string) (*Process, error) {
	if err := removeFile(filepath.Join(c.logs, node.Name+".log")); err != nil {
		return nil, err
	}
	return start(ctx, node, c.executable, c.logs, args...)
}

// ReplicaID is the id of the replica with the index, in its first membership.
func ReplicaID(index int) protocol.ReplicaID {
	return protocol.ReplicaID(protocol.MaxMembers + index)
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
	nodes := []*fabric.Node{c.Client}
	for _, p := range append(slices.Clone(c.Coordinators), c.Replicas...) {
		nodes = append(nodes, p.Node)
	}
	return nodes
}

// processes lists what was started, so far.
func (c *Cluster) processes() []*Process {
	all := slices.Concat(c.Coordinators, c.Replicas)
	if c.Etcd != nil {
		all = append(all, c.Etcd)
	}
	return all
}
