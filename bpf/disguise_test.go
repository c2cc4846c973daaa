// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"

	"dalio/protocol"
)

// The addresses of the other tests differ in a byte or two, and their frames are as
// plain as can be: what is not written, or not cleared, is often right already. In
// the corpus the same parties have addresses of which each byte is another, and every
// field that nobody may look at holds something.

// elsewhere returns the address that a party of the fixture has in the corpus.
func elsewhere(a protocol.Address) protocol.Address {
	if a.IP != [4]byte{10, 0, 0, a.IP[3]} || a.IP[3] == 0 || byte(a.Port) == 0 {
		return a
	}
	n := a.IP[3]
	a.IP = [4]byte{172, 29, 135, n ^ 0xC5}
	a.Port ^= 0x100 | uint16(n)<<4
	a.MAC = [6]byte{0x5A, 0x13 + n, 0x91 ^ n, 0xE7 - n, 0x2C + 3*n, n ^ 0x6B}
	return a
}

// move makes a state of the fixture's one of the corpus.
func move(c *protocol.Coordinator) {
	c.Self = elsewhere(c.Self)
	for i := range c.Known {
		c.Known[i].Address = elsewhere(c.Known[i].Address)
	}
}

// Fields of a message that nobody may look at, by its type: offset and size in the
// header. In what comes from replicas the time that it was sent is looked at.
var ignored = map[protocol.MessageType][][2]int{
	protocol.OpenRequest:  {{4, 4}, {8, 24}, {32, 8}, {48, 16}, {68, 20}},
	protocol.WriteRequest: {{5, 1}, {7, 1}, {8, 12}, {24, 8}, {48, 16}, {68, 12}},
	protocol.ReadRequest:  {{4, 2}, {7, 1}, {8, 24}, {48, 16}, {68, 12}},
	protocol.WriteAck:     {{4, 4}, {20, 4}, {80, 8}},
	protocol.ReadReply:    {{5, 2}, {20, 4}, {80, 8}},
	protocol.Probe:        {{4, 4}, {8, 24}, {32, 24}, {64, 24}},
	protocol.ProbeReply:   {{4, 4}, {16, 40}, {80, 8}},
}

// disguise moves a frame's parties, and fills what nobody may look at. What it fills
// in depends on the frame alone.
func disguise(frame []byte) []byte {
	if len(frame) < protocol.FrameOverhead {
		return frame
	}
	out := bytes.Clone(frame)
	be := binary.BigEndian
	from := elsewhere(protocol.Address{IP: [4]byte(frame[26:]), Port: be.Uint16(frame[34:]), MAC: [6]byte(frame[6:])})
	to := elsewhere(protocol.Address{IP: [4]byte(frame[30:]), Port: be.Uint16(frame[36:]), MAC: [6]byte(frame[0:])})
	copy(out[0:], to.MAC[:])
	copy(out[6:], from.MAC[:])
	copy(out[26:], from.IP[:])
	copy(out[30:], to.IP[:])
	be.PutUint16(out[34:], from.Port)
	be.PutUint16(out[36:], to.Port)
	var m protocol.Message
	if m.Unmarshal(frame[protocol.FrameOverhead:]) != nil {
		return out
	}
	client := protocol.Message{Client: elsewhere(m.Client)}
	copy(out[protocol.FrameOverhead+68:], client.Append(nil)[68:80])

	h := fnv.New64a()
	h.Write(frame)
	noise := h.Sum64()
	fill := func(field []byte) {
		for i := range field {
			noise = noise*6364136223846793005 + 1442695040888963407
			field[i] = byte(noise >> 56)
		}
	}
	fill(out[15:16])
	fill(out[18:20])
	fill(out[22:23])
	fill(out[40:42])
	for _, field := range ignored[m.Type] {
		at := protocol.FrameOverhead + field[0]
		lengths := [4]byte(out[protocol.FrameOverhead+64:])
		fill(out[at : at+field[1]])
		copy(out[protocol.FrameOverhead+64:], lengths[:])
	}
	be.PutUint16(out[24:], uint16(noise))
	out[20] = byte(noise>>16) & 0xC0 // Anything but a fragment.
	return out
}
