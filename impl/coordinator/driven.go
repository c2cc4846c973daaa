// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"dalio/bpf"
	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/impl/internal/datagram"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// Driver is what a control plane is driven by that has no goroutines, connections and
// clocks of its own: a simulation.
type Driver struct {
	// Now is its clock, and LeaseNow that of the data plane's leases.
	Now      func() time.Time
	LeaseNow func() time.Duration
	// Beside runs a function beside the others, and Together returns when all have run.
	Beside   func(func())
	Together func(...func())
	// Wake is called when a Step would find something to do.
	Wake func()
	// Follow is called when a replica is to be followed.
	Follow func(*Following)
	// Transport reaches the control APIs of replicas, with Patience. Probes sends to
	// members from the coordinator's own address, and Peers to other coordinators.
	Transport     http.RoundTripper
	Probes, Peers net.PacketConn
	// Locate returns the address of a replica's machine.
	Locate func(netip.AddrPort) protocol.Address
}

// Driven is a control plane that is driven: its methods are what the goroutines of a
// Coordinator do, to be called as often as those do it.
type Driven struct {
	m        *manager
	failures int
}

// DataPlane is what a control plane needs of a data plane.
type DataPlane = dataPlane

// Drive returns a control plane of the options given, Shared among them, on a data
// plane, which may be that of a predecessor: it is adopted then.
func Drive(o Options, data DataPlane, adopt bool, d Driver) (*Driven, error) {
	o.driver = &d
	o = o.withDefaults()
	c := &Coordinator{options: o, started: o.now(), heard: map[netip.AddrPort]time.Time{}}
	c.plane = &plane{data: data, enter: o.enter, resolve: func(missing []Replica) (found []located) {
		for _, r := range missing {
			found = append(found, located{Member: protocol.Member{ID: r.ID, Address: d.Locate(r.Address)}})
		}
		return found
	}}
	if adopt {
		if err := c.plane.adopt(); err != nil {
			return nil, err
		}
	}
	c.prober = drivenProber(d.Probes, d.LeaseNow)
	c.manager = newManager(c, func() {})
	c.manager.peers = drivenProber(d.Peers, d.LeaseNow)
	return &Driven{m: c.manager}, nil
}

func drivenProber(conn net.PacketConn, now func() time.Duration) *prober {
	return &prober{conn: datagram.NewConn(conn), out: datagram.NewBatch(1), now: now}
}

// Step names the next step and takes it, and returns how long to wait before the next
// call unless Wake is called.
func (d *Driven) Step() time.Duration { return d.m.step(d.m.options.background(), &d.failures) }

// Probe asks members, or the coordinator that is stood by for, whether they are there.
// It is due every ProbeInterval.
func (d *Driven) Probe() { d.m.probeOnce() }

// Settle tells members what is settled. It is due every SettleInterval.
func (d *Driven) Settle() error { return d.m.settleOnce(d.m.options.background()) }

// Tick advances the data plane's clock of sessions, in which their TTL is counted, and
// sees to abandoned writes.
func (d *Driven) Tick() error {
	if err := d.m.plane.data.Tick(); err != nil {
		return err
	}
	return d.m.lookAfterWrites(d.m.options.now())
}

// Changed says that the configuration may have changed, or which coordinators are
// there. It is due when that is so, and every second.
func (d *Driven) Changed() { d.m.sharedChanged(d.m.options.background()) }

// Answered takes an answer to a probe of a member, and PeerAnswered to one of another
// coordinator.
func (d *Driven) Answered(from netip.AddrPort, m *protocol.Message) {
	d.m.Coordinator.answered(from, m)
}

// PeerAnswered takes the answer of another coordinator's data plane.
func (d *Driven) PeerAnswered(from netip.AddrPort, m *protocol.Message) { d.m.peerAnswered(from, m) }

// FailOver has this coordinator take over, as an operator may ask it to.
func (d *Driven) FailOver() error { return d.m.failover() }

// ChangeMembers changes the replicas, as an operator may ask it to.
func (d *Driven) ChangeMembers(ch MemberChange) error {
	return d.m.changeMembers(d.m.options.background(), ch)
}

// Serving returns the epoch in which the data plane serves, 0 for none.
func (d *Driven) Serving() protocol.Epoch { return d.m.plane.view().Epoch }

// Recovered returns the members that an epoch being taken is recovered from, nil if
// that is not settled, or none is being taken.
func (d *Driven) Recovered() []config.Member { return d.m.steps.Recovered() }

// Kernel returns what the data plane was told last.
func (d *Driven) Kernel() membership.Kernel { return d.m.plane.view() }

// How often a Driven is to be driven, and how long to wait for a replica that is dialled.
const (
	ProbeInterval  = probeInterval
	SettleInterval = settleInterval
	Redial         = redial
	DialTimeout    = followTimeout
)

// Following is one replica's being followed: dial it, and while it is there ask for its
// state, again and again.
type Following struct {
	f   *follower
	ctx context.Context
}

// Address is the replica's.
func (f *Following) Address() netip.AddrPort { return f.f.address }

// Ended says that it is to be followed no longer.
func (f *Following) Ended() bool {
	select {
	case <-f.f.done:
		return true
	default:
		return false
	}
}

// Dialled takes note of whether somebody is there: nil, or why not.
func (f *Following) Dialled(err error) { f.f.dialled(err) }

// Poll asks for the state once, and returns how long to wait before the next time.
func (f *Following) Poll() time.Duration {
	_ = f.f.poll(f.ctx) // That it does not answer shows in when it was heard.
	return f.f.interval(f.f.now())
}

// patienceKey has how long a request of a driven control plane may take. Its
// context has no deadline, which would be one by the clock of this machine.
type patienceKey struct{}

// Patience returns after how long the Transport is to end a request with this context
// that has had no answer, 0 if no time is set.
func Patience(ctx context.Context) time.Duration {
	d, _ := ctx.Value(patienceKey{}).(time.Duration)
	return d
}

// bounded bounds what is done in a context.
func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if ctx.Value(patienceKey{}) != nil {
		return context.WithCancel(context.WithValue(ctx, patienceKey{}, d))
	}
	return context.WithTimeout(ctx, d)
}

// background is the context of what nobody waits for.
func (o *Options) background() context.Context {
	if o.driver != nil {
		return context.WithValue(context.Background(), patienceKey{}, time.Duration(0))
	}
	return context.Background()
}

// now is the control plane's clock.
func (o *Options) now() time.Time {
	if o.driver != nil {
		return o.driver.Now()
	}
	return time.Now()
}

// leaseNow is the clock of the data plane's leases.
func (o *Options) leaseNow() time.Duration {
	if o.driver != nil {
		return o.driver.LeaseNow()
	}
	return bpf.Now()
}

// together runs functions at the same time, and returns when all have ended.
func (o *Options) together(all ...func()) {
	if o.driver != nil {
		o.driver.Together(all...)
		return
	}
	var running sync.WaitGroup
	for _, f := range all {
		running.Go(f)
	}
	running.Wait()
}

// newFollower begins to follow a replica.
func (o *Options) newFollower(a netip.AddrPort, changed func(bool)) *follower {
	if o.driver == nil {
		return newFollower(context.Background(), a, o.Dial, changed)
	}
	done := make(chan struct{})
	f := &follower{address: a, client: control.NewClient(a, control.Options{Transport: o.driver.Transport}), changed: changed,
		cancel: func() { close(done) }, done: done, now: o.driver.Now, begun: o.driver.Now()}
	o.driver.Follow(&Following{f, o.background()})
	return f
}

// beside runs a function that close waits for.
func (m *manager) beside(f func()) {
	if d := m.options.driver; d != nil {
		d.Beside(f)
		return
	}
	m.running.Go(f)
}
