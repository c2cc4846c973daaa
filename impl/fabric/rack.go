// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// MaxNodes is how many nodes a rack can have.
const MaxNodes = 128

// ErrClosed is returned by what needs a rack that is open.
var ErrClosed = errors.New("rack is closed")

var nodeName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Options of a rack.
type Options struct {
	// Seed determines every random decision of the links.
	Seed uint64
	// Switched has an XDP program hand frames from link to link, which costs the machine
	// less than the bridge: what a switch does costs hosts nothing. Links have no faults
	// then, and a node receives only while an XDP program is on its device; see
	// Node.AttachPass.
	Switched bool
}

// Rack is a bridge and the nodes joined to it.
type Rack struct {
	lease *lease
	core  *Namespace
	pass  *ebpf.Program
	// relay is the program of the ports: pass or the switch, which has ports.
	relay  *ebpf.Program
	ports  *ebpf.Map
	faults *faults
	starts *starter
	close  func() error

	mu     sync.Mutex
	unhook func() bool
	nodes  []*Node
	closed bool
}

// New builds an empty rack, after removing what racks of dead processes left.
// The rack is closed when ctx is done: a command that cancels ctx on SIGINT
// and SIGTERM leaves nothing behind.
func New(ctx context.Context, options Options) (*Rack, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("build rack: %w", err)
	}
	if _, err := Clean(); err != nil {
		return nil, err
	}
	r := &Rack{}
	r.close = sync.OnceValue(r.shutdown)
	if err := r.build(options); err != nil {
		return nil, errors.Join(fmt.Errorf("build rack: %w", err), r.close())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// Whoever closes the rack next learns of an error that is lost here.
	r.unhook = context.AfterFunc(ctx, func() { _ = r.close() })
	return r, nil
}

func (r *Rack) build(options Options) error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return err
	}
	var err error
	if r.lease, err = acquireLease(); err != nil {
		return err
	}
	if r.core, err = createNamespace(r.lease.namespaceName("rack")); err != nil {
		return err
	}
	if err = r.core.Do(buildBridge); err != nil {
		return err
	}
	if r.pass, err = loadPass(); err != nil {
		return err
	}
	r.relay = r.pass
	if options.Switched {
		if r.relay, r.ports, err = loadSwitch(); err != nil {
			return err
		}
	}
	if r.faults, err = newFaults(r.core, options.Seed); err != nil {
		return err
	}
	if r.starts, err = newStarter(); err != nil {
		return err
	}
	return nil
}

// AddNode adds a node with the address 10.77.0.host to the rack. The name is
// of lower-case letters, digits and dashes.
func (r *Rack) AddNode(name string, host uint8) (*Node, error) {
	if !nodeName.MatchString(name) || name == "rack" {
		return nil, fmt.Errorf("add node %q: the name must match %s and not be rack", name, nodeName)
	}
	if host == 0 || host == 255 {
		return nil, fmt.Errorf("add node %s: host number %d is not in 1..254", name, host)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, fmt.Errorf("add node %s: %w", name, ErrClosed)
	}
	if len(r.nodes) == MaxNodes {
		return nil, fmt.Errorf("add node %s: the rack is full with %d nodes", name, MaxNodes)
	}
	addr := address(host)
	for _, other := range r.nodes {
		if other.Name == name || other.Addr == addr {
			return nil, fmt.Errorf("add node %s at %s: there is a node %s at %s", name, addr, other.Name, other.Addr)
		}
	}
	node := &Node{Name: name, Addr: addr, MAC: hardwareAddress(addr), rack: r, index: len(r.nodes)}
	if err := r.join(node); err != nil {
		return nil, errors.Join(fmt.Errorf("add node %s: %w", name, err), node.leave())
	}
	r.nodes = append(r.nodes, node)
	return node, nil
}

// join gives a node its namespace and its place at the bridge.
func (r *Rack) join(node *Node) error {
	var err error
	if node.ns, err = createNamespace(r.lease.namespaceName(node.Name)); err != nil {
		return err
	}
	if err := node.Do(silence); err != nil {
		return err
	}
	var port int
	err = r.core.Do(func() error {
		port, err = plug(node.ns, fmt.Sprintf("port%d", node.index), node.MAC)
		if err != nil {
			return err
		}
		node.xdp, err = link.AttachXDP(link.XDPOptions{
			Program: r.relay, Interface: port, Flags: link.XDPDriverMode,
		})
		if err != nil {
			return fmt.Errorf("attach the port's program: %w", err)
		}
		return r.enter(node, port)
	})
	if err != nil {
		return err
	}
	if err := node.Do(func() error { return configureNode(node.Addr) }); err != nil {
		return err
	}
	return r.core.Do(func() error {
		if err := awaitCarrier(port); err != nil {
			return err
		}
		return r.faults.addPort(port, node.index)
	})
}

// Node returns the node of that name, or nil.
func (r *Rack) Node(name string) *Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, node := range r.nodes {
		if node.Name == name {
			return node
		}
	}
	return nil
}

// ID is what the names of all the rack's namespaces have in common.
func (r *Rack) ID() string { return namePrefix + r.lease.id }

// Close kills the processes that nodes started and takes the rack down. Later
// calls wait for the first and return what it returned.
func (r *Rack) Close() error { return r.close() }

func (r *Rack) shutdown() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.unhook != nil {
		r.unhook()
	}

	var problems []error
	if r.starts != nil {
		r.starts.stop()
	}
	if r.faults != nil {
		problems = append(problems, r.faults.close())
	}
	for _, node := range r.nodes {
		problems = append(problems, node.leave())
	}
	if r.pass != nil {
		problems = append(problems, r.pass.Close())
	}
	if r.ports != nil {
		problems = append(problems, r.relay.Close(), r.ports.Close())
	}
	if r.core != nil {
		problems = append(problems, removeName(r.core.Name()), r.core.Close())
	}
	if r.lease != nil {
		problems = append(problems, r.lease.release())
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("take down rack (pid %d): %w", os.Getpid(), err)
	}
	return nil
}
