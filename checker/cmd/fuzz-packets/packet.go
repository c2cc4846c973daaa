// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"math/rand/v2"

	"dalio/protocol"
)

// maker makes packets that fit the model's state, and then spoils some.
type maker struct {
	r     *rand.Rand
	model *protocol.Coordinator
	buf   []byte
	// past has packets to send again.
	past [64][]byte
	sent int
}

const (
	minFrame = 14 // The kernel runs a program on no less.
	maxFrame = 1514
	header   = protocol.FrameOverhead
)

// next returns a packet that is good until the following call.
func (m *maker) next() []byte {
	r := m.r
	if r.IntN(16) == 0 && m.sent > 0 {
		m.buf = append(m.buf[:0], m.past[r.IntN(min(m.sent, len(m.past)))]...)
	} else {
		m.message()
	}
	m.spoil()
	if r.IntN(8) == 0 {
		m.past[m.sent%len(m.past)] = append(m.past[m.sent%len(m.past)][:0], m.buf...)
		m.sent++
	}
	return m.buf
}

// message makes a packet as a correct sender would.
func (m *maker) message() {
	r, c := m.r, m.model
	slot := r.IntN(slots)
	e := &c.Sessions[slot]
	member := replica(r.IntN(5))
	if r.IntN(16) == 0 {
		member = replica(14)
	}
	switch n := r.IntN(64); {
	case n < 7:
		m.frame(&protocol.Message{Type: protocol.OpenRequest, Request: 1 + r.Uint64N(48)}, client(r.IntN(clients)))
	case n < 22:
		w := request(e.Owner, e.Request+[...]uint64{0, 0, 1, 1, 1, 2}[r.IntN(6)], protocol.OpPut+protocol.Op(r.IntN(4)/3), r.IntN(3)/2)
		switch r.IntN(16) {
		case 0: // Of an epoch before, or one to come.
			w.Session += protocol.SessionID(r.IntN(3)-1) << 40
		case 1: // An earlier or later session of the slot.
			w.Session += protocol.SessionID(r.IntN(3)-1) << 24
		}
		m.frame(&w, client(r.IntN(clients)))
	case n < 38:
		a := m.reply(protocol.WriteAck, e, member.ID)
		m.frame(&a, member.Address)
	case n < 46:
		key := keys[r.IntN(len(keys))]
		m.frame(&protocol.Message{Type: protocol.ReadRequest, Request: 1 + r.Uint64N(1000), Attempt: uint8(r.Uint32()),
			Session: e.Owner, Key: key, KeyHash: protocol.KeyHash(key)}, client(r.IntN(clients)))
	case n < 60:
		a := m.reply(protocol.ReadReply, e, member.ID)
		a.Key, a.Value = keys[0], []byte("value")
		a.Hops = [...]uint8{0, 0, 0, 1, 63, 64, 255}[r.IntN(7)]
		if r.IntN(8) == 0 {
			a.Version, a.Writer, a.Op, a.Value = protocol.Version{}, 0, protocol.OpNone, nil
		}
		m.frame(&a, member.Address)
	case n < 62:
		m.frame(&protocol.Message{Type: protocol.Probe, Request: r.Uint64N(9), Sent: r.Uint64N(9)}, client(r.IntN(clients)))
	default:
		m.frame(&protocol.Message{Type: protocol.ProbeReply, Epoch: c.Epoch, Replica: member.ID, Sent: m.asked()}, member.Address)
	}
}

// reply is what all that replicas send has in common, about the last write of a slot.
func (m *maker) reply(kind protocol.MessageType, e *protocol.SessionEntry, from protocol.ReplicaID) protocol.Message {
	a := protocol.Message{Type: kind, Epoch: m.model.Epoch, Replica: from, Version: protocol.Version{Epoch: m.model.Epoch, Seq: e.Seq},
		Session: e.Owner, Writer: e.Owner, Request: e.Request, Op: e.Op, KeyHash: e.KeyHash, Digest: e.Digest,
		Client: client(m.r.IntN(clients)), Sent: m.asked()}
	switch m.r.IntN(16) {
	case 0:
		a.Version.Seq--
	case 1:
		a.Version.Epoch--
	case 2:
		a.Client = protocol.Address{}
	}
	return a
}

// asked is when the message was sent that a replica answers: of late, mostly, or about
// when the lease was last found to hold.
func (m *maker) asked() uint64 {
	switch m.r.IntN(16) {
	case 0:
		return m.model.Now + 1
	case 1:
		return max(m.model.Held, 1) - 1 + m.r.Uint64N(3)
	}
	return m.model.Now - min(m.model.Now, m.r.Uint64N(lease/4))
}

// frame puts a message into a frame, as a host's own network stack would.
func (m *maker) frame(message *protocol.Message, from protocol.Address) {
	be := binary.BigEndian
	b := append(m.buf[:0], make([]byte, header)...)
	b = message.Append(b)
	copy(b[0:], self.MAC[:])
	copy(b[6:], from.MAC[:])
	be.PutUint16(b[12:], 0x0800)
	b[14], b[22], b[23] = 0x45, 64, 17
	be.PutUint16(b[16:], uint16(len(b)-minFrame))
	be.PutUint32(b[18:], m.r.Uint32()&0xFFFF0000)
	copy(b[26:], from.IP[:])
	copy(b[30:], self.IP[:])
	be.PutUint16(b[34:], from.Port)
	be.PutUint16(b[36:], self.Port)
	be.PutUint16(b[38:], uint16(len(b)-minFrame-20))
	m.buf = b
}

// field is a place in a message whose values mean something.
type field struct {
	offset, width int
	values        []uint64
}

// fields are those of the headers, and of docs/wire.md.
var fields = []field{
	{12, 2, []uint64{0x86DD, 0x8100}}, {14, 1, []uint64{0x46, 0x65}}, {16, 2, nil}, {20, 2, []uint64{0x2000, 0x4000, 1}},
	{23, 1, []uint64{6}}, {26, 4, []uint64{0}}, {30, 4, nil}, {34, 2, []uint64{0}}, {36, 2, nil}, {38, 2, nil},
	{header + 0, 2, nil}, {header + 2, 1, nil}, {header + 3, 1, []uint64{0, 1, 3, 5, 8, 10, 11, 12, 13}}, {header + 4, 1, []uint64{0, 1, 2, 3}},
	{header + 5, 1, nil}, {header + 6, 1, []uint64{255}}, {header + 7, 1, []uint64{63, 64, 255}}, {header + 8, 4, []uint64{0}},
	{header + 12, 4, []uint64{0, 16, 17, 18, 30, 33}}, {header + 16, 4, []uint64{0}}, {header + 20, 4, nil},
	{header + 24, 8, []uint64{0, protocol.MaxSeq, protocol.MaxSeq + 1}}, {header + 32, 8, []uint64{0}}, {header + 40, 8, []uint64{0, 1 << 63}},
	{header + 48, 8, []uint64{0, slots - 1, slots, 1<<24 - 1}}, {header + 56, 8, nil}, {header + 64, 2, []uint64{0, 250, 251}},
	{header + 66, 2, []uint64{0}}, {header + 68, 4, []uint64{0}}, {header + 72, 2, []uint64{0}}, {header + 74, 6, []uint64{0}}, {header + 80, 8, []uint64{0}},
}

// spoil changes three packets of eight: a field, some bits, the size, or the key.
func (m *maker) spoil() {
	r := m.r
	switch n := r.IntN(64); {
	case n < 14:
		m.change(&fields[r.IntN(len(fields))])
	case n < 18:
		for range 1 + r.IntN(3) {
			m.buf[r.IntN(len(m.buf))] ^= 1 << r.IntN(8)
		}
	case n < 20:
		m.resize(minFrame + r.IntN(len(m.buf)))
		if r.IntN(2) == 0 {
			m.seal()
		}
	case n < 22 && len(m.buf) >= header+protocol.HeaderSize:
		m.rekey([...]int{0, 1, 2, 249, 250, 251}[r.IntN(6)], [...]int{0, 1, 300, 1130, 1134, 1135}[r.IntN(6)])
	case n == 22 && len(m.buf) > header:
		m.buf[26+r.IntN(10)]++ // Another sender.
	case n == 23:
		for i := range m.buf {
			m.buf[i] = byte(r.Uint32())
		}
	}
}

func (m *maker) change(f *field) {
	if f.offset+f.width > len(m.buf) {
		return
	}
	place := m.buf[f.offset : f.offset+f.width]
	var wide [8]byte
	copy(wide[8-f.width:], place)
	old := binary.BigEndian.Uint64(wide[:])
	var value uint64
	switch n := m.r.IntN(6 + len(f.values)); n {
	case 0:
		value = old + 1
	case 1:
		value = old - 1
	case 2:
		value = ^old
	case 3:
		value = m.r.Uint64()
	case 4:
		value = old ^ 1<<m.r.IntN(8*f.width)
	case 5:
		value = old + 1<<24
	default:
		value = f.values[n-6]
	}
	binary.BigEndian.PutUint64(wide[:], value)
	copy(place, wide[8-f.width:])
}

func (m *maker) resize(size int) {
	size = min(size, maxFrame)
	for len(m.buf) < size {
		m.buf = append(m.buf, byte(m.r.Uint32()))
	}
	m.buf = m.buf[:size]
}

// seal makes the lengths in a frame those that it has, as far as its key's lets it.
func (m *maker) seal() {
	payload := len(m.buf) - header
	if payload < 0 {
		return
	}
	be := binary.BigEndian
	be.PutUint16(m.buf[16:], uint16(len(m.buf)-minFrame))
	be.PutUint16(m.buf[38:], uint16(payload+8))
	if payload >= protocol.HeaderSize {
		message := m.buf[header:]
		be.PutUint16(message[66:], uint16(payload-protocol.HeaderSize)-be.Uint16(message[64:]))
	}
}

// rekey gives a message a key and a value of the sizes.
func (m *maker) rekey(key, value int) {
	m.resize(header + protocol.HeaderSize)
	binary.BigEndian.PutUint16(m.buf[header+64:], uint16(key))
	m.resize(header + protocol.HeaderSize + key + value)
	m.seal()
}
