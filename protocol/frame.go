// SPDX-License-Identifier: Apache-2.0

package protocol

import "encoding/binary"

const (
	ethernetHeaderSize = 14
	ipv4HeaderSize     = 20
	udpHeaderSize      = 8

	// FrameOverhead is what a frame adds to a message: Ethernet, IPv4 and UDP headers.
	FrameOverhead = ethernetHeaderSize + ipv4HeaderSize + udpHeaderSize

	offsetIP  = ethernetHeaderSize
	offsetUDP = offsetIP + ipv4HeaderSize

	outgoingTTL = 64
)

// frame gives names to the places of an Ethernet frame that holds IPv4 without
// options and UDP. Its methods expect at least FrameOverhead bytes.
type frame []byte

func (f frame) etherType() uint16  { return binary.BigEndian.Uint16(f[12:]) }
func (f frame) ipLength() int      { return int(binary.BigEndian.Uint16(f[offsetIP+2:])) }
func (f frame) udpLength() int     { return int(binary.BigEndian.Uint16(f[offsetUDP+4:])) }
func (f frame) fragment() uint16   { return binary.BigEndian.Uint16(f[offsetIP+6:]) & 0x3FFF }
func (f frame) payload() []byte    { return f[FrameOverhead:] }
func (f frame) sourceIP() [4]byte  { return [4]byte(f[offsetIP+12:]) }
func (f frame) sourcePort() uint16 { return binary.BigEndian.Uint16(f[offsetUDP:]) }

func (f frame) source() Address {
	return Address{IP: f.sourceIP(), Port: f.sourcePort(), MAC: [6]byte(f[6:])}
}

// isFor says whether f is IPv4 and UDP for the address: the frames that Dalio
// takes; all others belong to the host.
func (f frame) isFor(a Address) bool {
	return len(f) >= FrameOverhead &&
		f.etherType() == 0x0800 &&
		f[offsetIP] == 0x45 &&
		f.fragment() == 0 &&
		f[offsetIP+9] == 17 &&
		[4]byte(f[offsetIP+16:]) == a.IP &&
		binary.BigEndian.Uint16(f[offsetUDP+2:]) == a.Port
}

// lengthsFit says whether the lengths in the IPv4 and UDP headers are those of
// the frame. Trailing bytes are refused: no valid message is so short that
// Ethernet would pad it.
func (f frame) lengthsFit() bool {
	return offsetIP+f.ipLength() == len(f) && f.udpLength() == f.ipLength()-ipv4HeaderSize
}

// reframe returns a frame that carries m from one address to another, with the
// type of service, identification and fragment bits of the frame it answers.
func (f frame) reframe(m *Message, from, to Address) []byte {
	out := make([]byte, FrameOverhead, FrameOverhead+HeaderSize+len(m.Key)+len(m.Value))
	copy(out, f[:FrameOverhead])
	out = m.Append(out)
	frame(out).rewrite(from, to)
	return out
}

// rewrite addresses the frame and makes its lengths and checksums fit. The UDP
// checksum is left out, as IPv4 allows: a message carries its own digest.
func (f frame) rewrite(from, to Address) {
	be := binary.BigEndian
	copy(f[0:], to.MAC[:])
	copy(f[6:], from.MAC[:])
	ip := f[offsetIP:offsetUDP]
	be.PutUint16(ip[2:], uint16(len(f)-offsetIP))
	ip[8] = outgoingTTL
	copy(ip[12:], from.IP[:])
	copy(ip[16:], to.IP[:])
	be.PutUint16(ip[10:], 0)
	be.PutUint16(ip[10:], ipChecksum(ip))
	udp := f[offsetUDP:]
	be.PutUint16(udp[0:], from.Port)
	be.PutUint16(udp[2:], to.Port)
	be.PutUint16(udp[4:], uint16(len(f)-offsetUDP))
	be.PutUint16(udp[6:], 0)
}

func ipChecksum(header []byte) uint16 {
	var sum uint32
	for i := 0; i < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	return ^uint16(sum)
}

// NewFrame returns an Ethernet frame that carries m in a UDP datagram from one
// address to another, as a host's own network stack would send it.
func NewFrame(m *Message, from, to Address) []byte {
	template := make(frame, FrameOverhead)
	binary.BigEndian.PutUint16(template[12:], 0x0800)
	template[offsetIP] = 0x45
	template[offsetIP+9] = 17
	return template.reframe(m, from, to)
}
