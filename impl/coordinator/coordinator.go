// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
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
	SetPaths([protocol.MaxMembers]int) error
	Close() error
}

// Coordinator is a coordinator that serves: its data plane is attached.
type Coordinator struct {
	options Options
	network *network
	plane   dataPlane
	prober  *prober
	status  *statusServer // nil without a status socket
	started time.Time
	close   func() error

	mu      sync.Mutex
	watch   watch
	members []located
}

// Start loads the data plane, finds the replicas' hardware addresses and attaches
// it. When it returns, clients are served. Errors that wrap ErrConfiguration say
// what has to be changed. The caller must Serve or Close.
func Start(ctx context.Context, o Options) (*Coordinator, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	n, err := openNetwork(o.Devices, o.Listen.Addr())
	if err != nil {
		return nil, err
	}
	c := &Coordinator{options: o, network: n, started: time.Now()}
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
		Self:        protocol.Address{IP: o.Listen.Addr().As4(), Port: o.Listen.Port(), MAC: c.network.devices[0].mac},
		MaxSessions: o.Sessions, SessionTTL: o.SessionTTL, Object: o.Object, SeveralDevices: len(o.Devices) > 1,
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
	if c.members, err = c.network.resolve(resolving, o.Replicas, c.prober.send); err != nil {
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
	if err := c.place(c.members); err != nil {
		return err
	}
	if err := plane.SetServing(serving); err != nil {
		return err
	}
	return plane.Attach(c.network.indices()...)
}

// place tells the data plane where the members are.
func (c *Coordinator) place(members []located) error {
	var plain []protocol.Member
	var paths [protocol.MaxMembers]int
	for _, m := range members {
		plain = append(plain, m.Member)
		paths[m.ID.Index()] = m.device
	}
	return errors.Join(c.plane.SetMembers(plain...), c.plane.SetPaths(paths))
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
	if err := c.network.present(); err != nil {
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
// to it, has got another hardware address or is behind another device. The probes
// keep the table fresh.
func (c *Coordinator) followNeighbours() error {
	known, err := c.network.neighbours()
	if err != nil {
		return err
	}
	changed := false
	members := slices.Clone(c.members)
	for i := range members {
		m := &members[i]
		hop, err := c.network.nextHop(netip.AddrFrom4(m.Address.IP))
		if err != nil {
			continue // A route that is gone for now changes nothing.
		}
		if mac, ok := known[hop]; ok && (mac != m.Address.MAC || hop.device != m.device) {
			c.options.Logger.Info("a replica is reached another way", "replica", m.ID,
				"was", net.HardwareAddr(m.Address.MAC[:]).String(), "is", net.HardwareAddr(mac[:]).String(), "device", c.network.nameOf(hop.device))
			m.Address.MAC, m.device = mac, hop.device
			changed = true
		}
	}
	if !changed {
		return nil
	}
	c.mu.Lock()
	c.members = members
	c.mu.Unlock()
	return c.place(members)
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
	s := &Status{Address: c.options.Listen.String(), Device: c.network.String(), Uptime: now.Sub(c.started).Seconds(),
		Members: []Member{}, Pending: []PendingWrite{},
		Drops: counters.Drops, Actions: counters.Actions, Activities: counters.Activities}
	c.mu.Lock()
	c.watch.scan(state, now)
	c.watch.report(s, state, now)
	members := c.members
	c.mu.Unlock()
	for i := range s.Members {
		m := &s.Members[i]
		id := protocol.ReplicaID(m.ID)
		m.Reads = counters.Reads[id.Index()]
		for _, located := range members {
			if located.ID == id {
				m.Device = c.network.nameOf(located.device)
			}
		}
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
	c.network.close()
	return errors.Join(problems...)
}
