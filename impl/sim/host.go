// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"time"

	"dalio/bpf"
	"dalio/protocol"
)

const (
	// sessions is the size of the session table: small, so that slots are shared.
	sessions = 16
	// sessionTTL is in ticks of tickInterval.
	sessionTTL   = 2
	tickInterval = 100 * time.Millisecond
	lease        = 250 * time.Millisecond
	// probeInterval is how often members are asked whether they are there.
	probeInterval = 25 * time.Millisecond
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

// host is a coordinator's: the kernel with the data plane.
type host struct {
	w    *world
	node *node
	rig  *bpf.Rig
}

// clock is the host's, which the programs and the leases go by.
func (h *host) clock() time.Duration { return time.Hour + h.w.now }

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
	h.w.cover.handled(h, frame, &done)
	switch done.Reason {
	case protocol.UnknownVersion, protocol.Internal, protocol.BadLength, protocol.BadVersion, protocol.BadType, protocol.BadRequest, protocol.BadReply:
		h.w.fail("%s dropped what no correct sender sends: %v", h.node.name, done.Reason)
	}
	for _, out := range done.Frames {
		h.w.net.send(h.node, out)
	}
}

// probe asks a member whether it is there.
func (h *host) probe(to protocol.Address, id protocol.ReplicaID, e protocol.Epoch) {
	m := protocol.Message{Type: protocol.Probe, Epoch: e, Replica: id, Request: uint64(h.w.now), Sent: uint64(h.clock())}
	h.w.net.send(h.node, protocol.NewFrame(&m, h.node.address, to))
}
