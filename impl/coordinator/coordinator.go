// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"dalio/bpf"
	"dalio/impl/config"
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
	Summary() (*protocol.Coordinator, error)
	Counters() (bpf.Counters, error)
	SetMembers(...protocol.Member) error
	SetPaths([protocol.MaxMembers]int) error
	SetServing(uint16) error
	SetMinMembers(int) error
	Shut() error
	Open(bpf.Epoch) error
	Floor() (protocol.Version, error)
	Close() error
}

// Coordinator is a coordinator whose data plane is attached: the one that serves,
// or one that stands by.
type Coordinator struct {
	options Options
	network *network
	plane   *plane
	// mend puts the program back that somebody has taken off its device.
	mend    func() (mended bool, err error)
	prober  *prober
	manager *manager // nil if the members never change
	teller  *teller  // nil if nobody wants events
	// servers serve the admin API.
	servers []*statusServer
	started time.Time
	close   func() error

	// watching guards the watch, and is held while the session table is looked
	// through: whoever comes meanwhile finds what that has found.
	watching sync.Mutex
	watch    watch

	mu    sync.Mutex
	heard map[netip.AddrPort]time.Time
}

// Start loads the data plane and attaches it. When it returns, clients are served,
// by this coordinator or by the one that it stands by for. Errors that wrap
// ErrConfiguration say what has to be changed. The caller must Serve or Close.
func Start(ctx context.Context, o Options) (*Coordinator, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	n, err := openNetwork(o.Devices, o.Listen.Addr())
	if err != nil {
		return nil, err
	}
	c := &Coordinator{options: o, network: n, started: time.Now(), heard: map[netip.AddrPort]time.Time{}}
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
	data, adopted, err := c.load()
	if err != nil && o.Object != "" {
		return fmt.Errorf("%w: %w", ErrConfiguration, err)
	}
	if err != nil {
		return explain(err)
	}
	if o.Events != nil {
		if c.teller, err = startTeller(data, o.Events); err != nil {
			return errors.Join(err, data.Close())
		}
	}
	c.plane, c.mend = &plane{data: data, network: c.network, nudge: c.nudge, enter: o.enter}, data.Mend
	if o.SessionTTL != 0 && o.SessionTTL < clientIdle {
		o.Logger.Warn("clients may use a session again after it has been reclaimed, and then not know what became of a write",
			"session_ttl", o.SessionTTL, "want", clientIdle)
	}
	if adopted {
		err = c.plane.adopt()
	} else {
		err = c.attach(data)
	}
	if err != nil {
		return explain(err)
	}
	if err := data.Prefetches(); err != nil {
		o.Logger.Info("frames come to the data plane without being fetched ahead", "because", err)
	} else {
		o.Logger.Info("frames are fetched ahead from the rings of veth devices")
	}
	c.tellBegin()
	if c.prober, err = newProber(o.Listen); err != nil {
		return err
	}
	if o.Shared == nil {
		c.prober.listen(c.answered)
		if err := c.openFixed(ctx); err != nil {
			return explain(err)
		}
	} else if err := c.startManager(ctx); err != nil {
		return err
	}
	if err := c.serveAPI(); err != nil {
		return err
	}
	if c.manager != nil {
		return c.manager.awaitReady(ctx)
	}
	return nil
}

func (c *Coordinator) serveAPI() error {
	handler := c.handler()
	if path := c.options.StatusSocket; path != "" {
		s, err := serveStatus(path, handler)
		if err != nil {
			return err
		}
		c.servers = append(c.servers, s)
	}
	if c.options.Admin.IsValid() {
		s, err := serveAdmin(c.options.Admin, handler)
		if err != nil {
			return err
		}
		c.servers = append(c.servers, s)
	}
	return nil
}

// pinName is the folder of the pins in Options.PinDir. Coordinators of different
// names may share that.
func (c *Coordinator) pinName() string {
	return filepath.Join(c.options.PinDir, "dalio-"+strings.NewReplacer(":", "_", ".", "_").Replace(c.options.Name))
}

// load returns a data plane: the one that a predecessor of this process has left,
// if there is one that fits, or a new one.
func (c *Coordinator) load() (data *bpf.DataPlane, adopted bool, err error) {
	o := c.options
	options := bpf.Options{
		Self:        protocol.Address{IP: o.Listen.Addr().As4(), Port: o.Listen.Port(), MAC: c.network.devices[0].mac},
		MaxSessions: o.Sessions, SessionTTL: o.SessionTTL, Lease: o.Lease, Prefetch: o.Prefetch, Object: o.Object, SeveralDevices: len(o.Devices) > 1,
		Events: o.Events != nil,
	}
	if o.PinDir != "" {
		switch data, err = bpf.Adopt(c.pinName(), options); {
		case err == nil:
			o.Logger.Info("adopted a pinned data plane", "dir", c.pinName())
			return data, true, nil
		case errors.Is(err, bpf.ErrHeld):
			return nil, false, fmt.Errorf("%w: --pin-dir: %w", ErrConfiguration, err)
		case !errors.Is(err, bpf.ErrNotPinned):
			o.Logger.Warn("what is pinned can't be adopted and is removed", "dir", c.pinName(), "error", err)
		}
		if err := bpf.Unpin(c.pinName()); err != nil {
			return nil, false, fmt.Errorf("%w: --pin-dir: %w", ErrConfiguration, err)
		}
	}
	data, err = bpf.Load(options)
	return data, false, err
}

// attach lets frames in, to a data plane that is closed, and pins it.
func (c *Coordinator) attach(data *bpf.DataPlane) error {
	if err := data.Attach(c.network.indices()...); err != nil {
		return err
	}
	if c.options.PinDir == "" {
		return nil
	}
	if err := data.Pin(c.pinName()); err != nil {
		return fmt.Errorf("%w: --pin-dir: %w; a BPF file system is mounted by: mount -t bpf bpf %s", ErrConfiguration, err, c.options.PinDir)
	}
	return nil
}

// openFixed opens the data plane for members that never change.
func (c *Coordinator) openFixed(ctx context.Context) error {
	resolving, cancel := context.WithTimeout(ctx, c.options.ResolveTimeout)
	defer cancel()
	var members []config.Member
	for _, r := range c.options.Replicas {
		members = append(members, config.Member{ID: r.ID, Address: r.Address, InSync: true})
	}
	return c.plane.Open(resolving, c.options.Epoch, members, nil, 1, bpf.Now())
}

// nudge sends a replica something, which makes the kernel look for its machine.
func (c *Coordinator) nudge(r Replica) { c.prober.probe(r.Address, c.options.Epoch, r.ID) }

// answered takes note of a replica's answer to a probe.
func (c *Coordinator) answered(from netip.AddrPort, m *protocol.Message) {
	now := c.options.now()
	c.mu.Lock()
	c.heard[from] = now
	c.mu.Unlock()
	if c.manager != nil {
		c.manager.answered(from, m, now)
	}
}

// probeAll asks the members whether they are there, for people to see.
func (c *Coordinator) probeAll() {
	epoch := c.plane.view().Epoch
	for _, m := range c.plane.located() {
		c.prober.probe(addrPort(m.Address), epoch, m.ID)
	}
}

func addrPort(a protocol.Address) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(a.IP), a.Port)
}

// Serve keeps the data plane's clock and watches over it until the context ends,
// and returns nil then, with the data plane detached.
func (c *Coordinator) Serve(ctx context.Context) error {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	c.probeAll()
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
	if err := c.plane.data.Tick(); err != nil {
		return err
	}
	if err := c.network.present(); err != nil {
		return err
	}
	if err := c.putBack(); err != nil {
		return err
	}
	c.probeAll()
	if err := c.followNeighbours(); err != nil {
		return err
	}
	return c.lookAfterWrites(now)
}

// putBack sees to it that the data plane has the device's frames.
func (c *Coordinator) putBack() error {
	return c.plane.enter(func() error {
		mended, err := c.mend()
		if mended {
			c.options.Logger.Error("the data plane's program was gone from its device, or another was in its place; it is back")
		}
		return err
	})
}

// lookAfterWrites sees to writes that have been pending for long.
func (c *Coordinator) lookAfterWrites(now time.Time) error {
	counters, err := c.plane.data.Counters()
	if err != nil {
		return err
	}
	c.watching.Lock()
	defer c.watching.Unlock()
	if !c.watch.due(counters, now) {
		return nil
	}
	state, err := c.plane.data.State()
	if err != nil {
		return err
	}
	c.watch.scan(state, now)
	if c.manager != nil {
		c.manager.abandoned(c.watch.older(state, now, abandonedAfter), state)
	}
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
	return c.plane.follow(func(members []located) bool {
		changed := false
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
		return changed
	})
}

// Close detaches the data plane and frees what it holds. Later calls return what
// the first did.
func (c *Coordinator) Close() error { return c.close() }

func (c *Coordinator) shutdown() error {
	var problems []error
	for _, s := range c.servers {
		problems = append(problems, s.close())
	}
	if c.manager != nil {
		c.manager.close()
	}
	if c.prober != nil {
		problems = append(problems, c.prober.close())
	}
	if c.plane != nil {
		problems = append(problems, c.plane.data.Close())
	}
	if c.teller != nil {
		problems = append(problems, c.teller.close())
	}
	c.network.close()
	return errors.Join(problems...)
}
