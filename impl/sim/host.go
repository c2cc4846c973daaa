// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"time"

	"dalio/bpf"
	"dalio/protocol"
)

const (
	// sessions is the size of the session table: small, so that slots are shared.
	sessions = 8
	// sessionTTL is in ticks of tickInterval.
	sessionTTL   = 2
	tickInterval = 100 * time.Millisecond
	lease        = 250 * time.Millisecond
	// peersPort is where a coordinator that stands by hears the other one.
	peersPort = 7500
)

// RigOptions returns what a data plane of a simulation is loaded with: that of the
// coordinator with the index, from an object if that is not "".
func RigOptions(index int, object string) bpf.Options {
	return bpf.Options{Self: hostAddress(index), MaxSessions: sessions, SessionTTL: sessionTTL, Lease: lease, Object: object}
}

func hostAddress(index int) protocol.Address {
	ip := [4]byte{10, 0, 0, byte(index + 1)}
	return protocol.Address{IP: ip, Port: protocol.Port, MAC: [6]byte{2, 0, ip[0], ip[1], ip[2], ip[3]}}
}

// host is a coordinator's: a kernel with the data plane, and the control plane.
type host struct {
	w     *world
	index int
	node  *node
	rig   *bpf.Rig
	// ahead and rate make the host's clock: no two are alike.
	ahead time.Duration
	rate  float64
	// loaded: there is a data plane for a control plane to adopt.
	loaded  bool
	control *controlPlane
	// table is what the witness knows of the data plane.
	table table
	// down and gone count the faults that keep control plane and host from being.
	down, gone int
}

func newHost(w *world, index int, rig *bpf.Rig) *host {
	h := &host{w: w, index: index, rig: rig, ahead: time.Hour + time.Duration(w.chance.Int64N(int64(time.Hour))), rate: 1 + 0.004*(2*w.chance.Float64()-1)}
	h.node = w.net.add(fmt.Sprint("x", index), 0, byte(index+1), protocol.Port)
	return h
}

// clock is the host's, which the programs and the leases go by.
func (h *host) clock() time.Duration { return h.ahead + time.Duration(float64(h.w.now)*h.rate) }

// boot starts the host, with nothing in its kernel, and its control plane.
func (h *host) boot() {
	if err := h.rig.Reset(); err != nil {
		h.w.fail("%s: %v", h.node.name, err)
	}
	h.node.off, h.loaded, h.node.receive = false, false, h.receive
	h.start()
}

// lose has the host disappear, with its kernel.
func (h *host) lose() {
	h.kill()
	h.node.off, h.node.receive, h.loaded = true, nil, false
}

// receive has the data plane handle a frame.
func (h *host) receive(frame []byte) {
	err := h.rig.SetClock(h.clock())
	var done bpf.Handled
	if err == nil {
		done, err = h.rig.Handle(frame)
	}
	if err != nil {
		h.w.fail("%s: %v", h.node.name, err)
		return
	}
	h.w.witness.handled(h, frame, &done)
	switch done.Reason {
	case protocol.UnknownVersion, protocol.Internal, protocol.BadLength, protocol.BadVersion, protocol.BadType, protocol.BadRequest, protocol.BadReply:
		h.w.fail("%s dropped what no correct sender sends: %v", h.node.name, done.Reason)
	}
	if done.Verdict == protocol.Pass {
		h.pass(frame)
	}
	for _, out := range done.Frames {
		h.w.net.send(h.node, out)
	}
}

// pass hands what the data plane leaves to the host to the control plane.
func (h *host) pass(frame []byte) {
	m, err := decode(frame)
	if err != nil || h.control == nil || h.control.life.paused {
		return
	}
	if destinationPort(frame) == peersPort {
		h.control.driven.PeerAnswered(addrPort(sender(frame)), &m)
	} else {
		h.control.driven.Answered(addrPort(sender(frame)), &m)
	}
}
