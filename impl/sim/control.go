// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"

	"dalio/impl/config"
	"dalio/impl/coordinator"
	"dalio/protocol"
)

const shard = "sim"

// controlPlane is the process of a coordinator's control plane.
type controlPlane struct {
	h      *host
	life   *life
	driven *coordinator.Driven
	// stepping is the function that takes the steps.
	stepping *proc
}

// start begins a control plane, which adopts what the last one has left in the kernel.
func (h *host) start() {
	if h.control != nil || h.node.off || h.down > 0 {
		return
	}
	w := h.w
	c := &controlPlane{h: h, life: w.newLife()}
	var replicas []netip.AddrPort
	for _, m := range w.machines {
		replicas = append(replicas, addrPort(m.node.address))
	}
	o := coordinator.Options{Name: h.node.name, Shard: shard, Listen: addrPort(h.node.address), Sessions: sessions, Lease: lease,
		Shared: access{w.store, h.node}, Found: replicas, Standby: h.index > 0}
	var err error
	c.driven, err = coordinator.Drive(o, h.rig, h.loaded, coordinator.Driver{
		Now: func() time.Time { return time.Unix(0, 0).Add(h.clock()) }, LeaseNow: h.clock,
		Beside: func(f func()) { c.life.beside(f) }, Together: c.life.together, Wake: c.wake, Follow: c.follow,
		Transport: transport{w, h.node}, Probes: outlet{h, protocol.Port}, Peers: outlet{h, peersPort},
		Locate: func(a netip.AddrPort) protocol.Address { return w.machineAt(a).node.address },
	})
	if err != nil {
		w.fail("%s: start a control plane: %v", h.node.name, err)
		return
	}
	if h.loaded && c.driven.Serving() != 0 {
		w.cover.met(adoptedKernel)
	}
	h.control, h.loaded = c, true
	c.stepping = c.life.beside(c.steps)
	c.every(coordinator.ProbeInterval, c.driven.Probe)
	c.every(tickInterval, func() {
		if err := c.driven.Tick(); err != nil {
			w.fail("%s: %v", h.node.name, err)
		}
	})
	c.every(time.Second, c.driven.Changed)
	c.every(coordinator.SettleInterval, func() {
		_ = c.driven.Settle() // Those that were not told are told the next time.
	})
}

// kill ends the control plane. The kernel goes on.
func (h *host) kill() {
	if h.control != nil {
		h.control.life.kill()
		h.control = nil
	}
}

// changed tells the control plane that the configuration has changed.
func (h *host) changed() {
	if h.control != nil && !h.control.life.paused && !h.w.store.node.off && h.w.net.cut[[2]*node{h.w.store.node, h.node}] == 0 {
		h.control.driven.Changed()
	}
}

// present lists the control planes that etcd knows to be there.
func (w *world) present() (all []config.Presence) {
	for _, h := range w.hosts {
		if h.control != nil {
			all = append(all, config.Presence{Name: h.node.name, Address: addrPort(h.node.address).String()})
		}
	}
	return all
}

func (c *controlPlane) wake() {
	if c.stepping != nil {
		c.stepping.wake()
	}
}

// steps takes the steps of the membership, one after the other. Between any two the
// process may be killed.
func (c *controlPlane) steps() {
	for {
		pause := c.driven.Step()
		c.h.w.current.doze(max(pause, 50*time.Microsecond))
	}
}

// every does something again and again.
func (c *controlPlane) every(interval time.Duration, do func()) {
	c.life.beside(func() {
		for {
			c.h.w.current.sleep(interval)
			do()
		}
	})
}

// follow keeps a connection to a replica, and asks for its state.
func (c *controlPlane) follow(f *coordinator.Following) {
	w := c.h.w
	m := w.machineAt(f.Address())
	c.life.beside(func() {
		for !f.Ended() {
			var at *life
			err := w.ask(context.Background(), c.h.node, m.node, coordinator.DialTimeout, func() error {
				at = m.life
				return nil
			})
			f.Dialled(err)
			if err == nil {
				c.attend(f, m, at)
			}
			w.current.sleep(coordinator.Redial)
		}
	})
}

// attend asks for the state of a replica until its process ends, of which its host
// tells.
func (c *controlPlane) attend(f *coordinator.Following, m *machine, at *life) {
	p := c.h.w.current
	broken := false
	m.watchers = append(m.watchers, func() {
		c.h.w.after(100*time.Microsecond, func() {
			if !m.node.off && c.h.w.net.cut[[2]*node{m.node, c.h.node}] == 0 {
				broken = true
				p.wake()
			}
		})
	})
	if m.life != at {
		return
	}
	for !broken && !f.Ended() {
		again := c.h.w.now + f.Poll()
		c.h.w.at(again, p.wake)
		p.until(func() bool { return broken || f.Ended() || c.h.w.now >= again })
		if m.life != at && !m.node.off && c.h.w.net.cut[[2]*node{m.node, c.h.node}] == 0 {
			return
		}
	}
}

// outlet is a socket of a coordinator's control plane, for sending.
type outlet struct {
	h    *host
	port uint16
}

func (o outlet) WriteTo(b []byte, to net.Addr) (int, error) {
	from := o.h.node.address
	from.Port = o.port
	at := to.(*net.UDPAddr).AddrPort()
	var m protocol.Message
	if err := m.Unmarshal(b); err != nil {
		return 0, err
	}
	n := o.h.w.net.nodes[at.Addr().As4()]
	if n == nil {
		return 0, syscall.EHOSTUNREACH
	}
	o.h.w.net.send(o.h.node, protocol.NewFrame(&m, from, protocol.Address{IP: n.address.IP, Port: at.Port(), MAC: n.address.MAC}))
	return len(b), nil
}

func (o outlet) ReadFrom([]byte) (int, net.Addr, error) { return 0, nil, net.ErrClosed }
func (o outlet) Close() error                           { return nil }
func (o outlet) LocalAddr() net.Addr                    { return udp(o.h.node.address) }
func (o outlet) SetDeadline(time.Time) error            { return nil }
func (o outlet) SetReadDeadline(time.Time) error        { return nil }
func (o outlet) SetWriteDeadline(time.Time) error       { return nil }

func addrPort(a protocol.Address) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(a.IP), a.Port)
}
