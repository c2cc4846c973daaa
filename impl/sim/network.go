// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"time"

	"dalio/protocol"
)

// archived bounds the frames that are kept to be sent once more, long after.
const archived = 2048

// weather is what becomes of frames on a link.
type weather struct {
	Loss, Duplicate float64
	// Late is the share of frames that take up to Delay longer than others.
	Late  float64
	Delay time.Duration
}

// node is a host of the network.
type node struct {
	name    string
	address protocol.Address
	// receive takes a frame. It is nil while nobody is there.
	receive func(frame []byte)
	// off: the host is without power; closed: nobody accepts connections.
	off, closed bool
	// paused: frames and requests wait until the host goes on.
	paused  bool
	waiting [][]byte
	later   []func()
}

// network carries frames between nodes.
type network struct {
	w      *world
	random *rand.Rand
	nodes  map[[4]byte]*node
	// base is the weather of quiet times, bursts what it is now and then.
	base   weather
	bursts []*burst
	// cut has the directed links that carry nothing, by how many faults cut them.
	cut     map[[2]*node]int
	archive [][]byte
}

// burst is bad weather at some hosts; nil is all of them.
type burst struct {
	weather
	at *node
}

func newNetwork(w *world) *network {
	return &network{w: w, random: stream(w.seed, networkStream), nodes: map[[4]byte]*node{}, cut: map[[2]*node]int{}}
}

// add makes a host known: 10.0.kind.index.
func (n *network) add(name string, kind, index byte, port uint16) *node {
	ip := [4]byte{10, 0, kind, index}
	added := &node{name: name, address: protocol.Address{IP: ip, Port: port, MAC: [6]byte{2, 0, ip[0], ip[1], ip[2], ip[3]}}}
	n.nodes[ip] = added
	return added
}

// at returns the weather on a link.
func (n *network) at(from, to *node) weather {
	worst := n.base
	for _, b := range n.bursts {
		if b.at == nil || b.at == from || b.at == to {
			worst.Loss, worst.Duplicate = max(worst.Loss, b.Loss), max(worst.Duplicate, b.Duplicate)
			worst.Late, worst.Delay = max(worst.Late, b.Late), max(worst.Delay, b.Delay)
		}
	}
	return worst
}

// send puts a frame on its way to the address in it.
func (n *network) send(from *node, frame []byte) {
	to := n.nodes[destination(frame)]
	if to == nil {
		n.w.fail("a frame of %s is for nobody: %x", from.name, frame)
		return
	}
	if n.archive = append(n.archive, frame); len(n.archive) > archived {
		n.archive = n.archive[1:]
	}
	sky := n.at(from, to)
	copies := 1
	switch {
	case n.cut[[2]*node{from, to}] > 0, n.random.Float64() < sky.Loss:
		n.w.note("lost", from, to, frame)
		copies = 0
	case n.random.Float64() < sky.Duplicate:
		copies = 2
	}
	for range copies {
		d := between(n.random, 20*time.Microsecond, 200*time.Microsecond)
		if n.random.Float64() < sky.Late {
			d += between(n.random, 0, sky.Delay)
		}
		n.w.after(d, func() { n.deliver(from, to, frame) })
	}
}

// deliver hands a frame over.
func (n *network) deliver(from, to *node, frame []byte) {
	switch {
	case to.receive == nil:
		n.w.note("nobody", from, to, frame)
	case to.paused:
		to.waiting = append(to.waiting, frame)
	default:
		n.w.deliveries++
		n.w.note("", from, to, frame)
		to.receive(frame)
	}
}

// resume has a host go on with what has come meanwhile.
func (n *network) resume(at *node) {
	at.paused = false
	waiting := at.waiting
	at.waiting = nil
	for _, frame := range waiting {
		n.w.after(0, func() { n.deliver(n.nodes[source(frame)], at, frame) })
	}
	later := at.later
	at.later = nil
	for _, do := range later {
		n.w.after(0, do)
	}
}

// repeat sends a frame from the archive again.
func (n *network) repeat() {
	if len(n.archive) == 0 {
		return
	}
	frame := n.archive[n.random.IntN(len(n.archive))]
	from, to := n.nodes[source(frame)], n.nodes[destination(frame)]
	n.w.after(between(n.random, 0, time.Millisecond), func() { n.deliver(from, to, frame) })
}

func destination(frame []byte) [4]byte { return [4]byte(frame[30:]) }

func source(frame []byte) [4]byte { return [4]byte(frame[26:]) }

func destinationPort(frame []byte) uint16 { return binary.BigEndian.Uint16(frame[36:]) }

// sender is the address that a frame came from.
func sender(frame []byte) protocol.Address {
	return protocol.Address{IP: source(frame), Port: binary.BigEndian.Uint16(frame[34:]), MAC: [6]byte(frame[6:])}
}

// decode returns the message in a frame.
func decode(frame []byte) (protocol.Message, error) {
	var m protocol.Message
	if len(frame) < protocol.FrameOverhead {
		return m, fmt.Errorf("a frame of %d bytes", len(frame))
	}
	return m, m.Unmarshal(frame[protocol.FrameOverhead:])
}

// note writes of a frame, with a sum of all its bytes.
func (w *world) note(what string, from, to *node, frame []byte) {
	m, err := decode(frame)
	if err != nil {
		w.fail("frame %x: %v", frame, err)
		return
	}
	b := w.line()
	b = append(b, from.name...)
	b = append(b, '>')
	b = append(b, to.name...)
	b = append(b, ' ')
	b = append(b, m.Type.String()...)
	b = fmt.Appendf(b, " %d %d/%d s%x q%d %s", m.Epoch, m.Version.Epoch, m.Version.Seq, uint64(m.Session), m.Request, m.Key)
	if m.Status > protocol.StatusOK {
		b = append(b, ' ')
		b = append(b, m.Status.String()...)
	}
	b = fmt.Appendf(b, " #%08x %s\n", crc32.ChecksumIEEE(frame), what)
	w.log = b
}
