// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"dalio/bpf"
	"dalio/protocol"
)

// tickInterval is the data plane's unit of time: session TTLs are in ticks.
const tickInterval = time.Second

// clientIdle is the age, in seconds, at which client.Options has a client give an
// unused session up, and what its last write may take.
const clientIdle = 30

// dataPlane is what the control plane needs of a bpf.DataPlane.
type dataPlane interface {
	Tick() error
	State() (*protocol.Coordinator, error)
	Counters() (bpf.Counters, error)
	SetMembers(...protocol.Member) error
	Close() error
}

// Coordinator is a coordinator that serves: its data plane is attached.
type Coordinator struct {
	options Options
	device  *device
	plane   dataPlane
	prober  *prober
	status  *statusServer // nil without a status socket
	started time.Time
	close   func() error

	mu      sync.Mutex
	watch   watch
	members []protocol.Member
}

// Start loads the data plane, finds the replicas' hardware addresses and attaches
// it. When it returns, clients are served. Errors that wrap ErrConfiguration say
// what has to be changed. The caller must Serve or Close.
func Start(ctx context.Context, o Options) (*Coordinator, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	d, err := openDevice(o.Device, o.Listen.Addr())
	if err != nil {
		return nil, err
	}
	c := &Coordinator{options: o, device: d, started: time.Now()}
	c.close = sync.OnceValue(c.shutdown)
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Coordinator) start(ctx context.Context) error {
	o := c.options
	// Loading comes first because it needs no other machine: what this one lacks
	// is said at once.
	plane, err := bpf.Load(bpf.Options{
		Self:        protocol.Address{IP: o.Listen.Addr().As4(), Port: o.Listen.Port(), MAC: c.device.mac},
		MaxSessions: o.Sessions, SessionTTL: o.SessionTTL, Object: o.Object,
	})
	if err != nil && o.Object != "" {
		return fmt.Errorf("%w: %w", ErrConfiguration, err)
	}
	if err != nil {
		return explain(err)
	}
	c.plane = plane
	if c.prober, err = newProber(o.Listen.Addr(), o.Epoch, o.Replicas); err != nil {
		return err
	}
	if o.SessionTTL != 0 && o.SessionTTL < clientIdle {
		o.Logger.Warn("clients may use a session again after it has been reclaimed, and then not know what became of a write",
			"session_ttl", o.SessionTTL, "want", clientIdle)
	}
	resolving, cancel := context.WithTimeout(ctx, o.ResolveTimeout)
	defer cancel()
	if c.members, err = c.device.resolve(resolving, o.Replicas, c.prober.send); err != nil {
		return err
	}
	if err := c.open(plane); err != nil {
		return explain(err)
	}
	if o.StatusSocket != "" {
		if c.status, err = serveStatus(o.StatusSocket, c.Status); err != nil {
			return err
		}
	}
	return nil
}

// open gives the data plane its first configuration and lets frames in.
func (c *Coordinator) open(plane *bpf.DataPlane) error {
	var serving uint16
	for _, m := range c.members {
		serving |= 1 << m.ID.Index()
	}
	if err := plane.SetEpoch(c.options.Epoch); err != nil {
		return err
	}
	if err := plane.SetMembers(c.members...); err != nil {
		return err
	}
	if err := plane.SetServing(serving); err != nil {
		return err
	}
	return plane.Attach(c.device.index)
}

// Serve keeps the data plane's clock and watches over it until the context ends,
// and returns nil then, with the data plane detached.
func (c *Coordinator) Serve(ctx context.Context) error {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	c.prober.sendAll()
	for {
		select {
		case <-ctx.Done():
			return c.Close()
		case now := <-ticker.C:
			if err := c.tick(now); err != nil {
				return errors.Join(err, c.Close())
			}
		}
	}
}

func (c *Coordinator) tick(now time.Time) error {
	if err := c.plane.Tick(); err != nil {
		return err
	}
	if err := c.device.present(); err != nil {
		return err
	}
	c.prober.sendAll()
	if err := c.followNeighbours(); err != nil {
		return err
	}
	counters, err := c.plane.Counters()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.watch.due(counters, now) {
		return nil
	}
	state, err := c.plane.State()
	if err != nil {
		return err
	}
	c.watch.scan(state, now)
	return nil
}

// followNeighbours tells the data plane when a replica's machine, or the router
// to it, has got another hardware address. The probes keep the table fresh.
func (c *Coordinator) followNeighbours() error {
	known, err := c.device.neighbours()
	if err != nil {
		return err
	}
	changed := false
	members := append([]protocol.Member(nil), c.members...)
	for i := range members {
		hop, err := c.device.nextHop(netip.AddrFrom4(members[i].Address.IP))
		if err != nil {
			continue // A route that is gone for now changes nothing.
		}
		if mac, ok := known[hop]; ok && mac != members[i].Address.MAC {
			c.options.Logger.Info("a replica has another hardware address", "replica", members[i].ID,
				"was", net.HardwareAddr(members[i].Address.MAC[:]).String(), "is", net.HardwareAddr(mac[:]).String())
			members[i].Address.MAC = mac
			changed = true
		}
	}
	if !changed {
		return nil
	}
	c.members = members
	return c.plane.SetMembers(members...)
}

// Status reports on the coordinator as it is now.
func (c *Coordinator) Status() (*Status, error) {
	state, err := c.plane.State()
	if err != nil {
		return nil, err
	}
	counters, err := c.plane.Counters()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	s := &Status{Address: c.options.Listen.String(), Device: c.device.name, Uptime: now.Sub(c.started).Seconds(),
		Members: []Member{}, Pending: []PendingWrite{},
		Drops: counters.Drops, Actions: counters.Actions, Activities: counters.Activities}
	c.mu.Lock()
	c.watch.scan(state, now)
	c.watch.report(s, state, now)
	c.mu.Unlock()
	for i := range s.Members {
		m := &s.Members[i]
		id := protocol.ReplicaID(m.ID)
		m.Reads = counters.Reads[id.Index()]
		if heard := c.prober.lastHeard(id); !heard.IsZero() {
			ago := now.Sub(heard).Seconds()
			m.LastHeard = &ago
		}
	}
	return s, nil
}

// Close detaches the data plane and frees what it holds. Later calls return what
// the first did.
func (c *Coordinator) Close() error { return c.close() }

func (c *Coordinator) shutdown() error {
	var problems []error
	if c.status != nil {
		problems = append(problems, c.status.close())
	}
	if c.prober != nil {
		problems = append(problems, c.prober.close())
	}
	if c.plane != nil {
		problems = append(problems, c.plane.Close())
	}
	c.device.close()
	return errors.Join(problems...)
}
