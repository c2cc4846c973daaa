// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"

	"pgregory.net/rapid"

	"dalio/protocol"
)

// place is a field of a frame that a forger may change.
type place struct {
	name          string
	offset, width int
	// values to choose from, beside those near the field's own.
	values []uint64
}

func header(name string, offset, width int, values ...uint64) place {
	return place{name, protocol.FrameOverhead + offset, width, values}
}

var places = []place{
	{"ethertype", 12, 2, []uint64{0x86DD, 0x8100}},
	{"IPv4 version and size", 14, 1, []uint64{0x46, 0x65}},
	{"IPv4 length", 16, 2, nil},
	{"fragment", 20, 2, []uint64{0x2000, 0x4000, 1, 0x8000}},
	{"protocol", 23, 1, []uint64{6}},
	{"source IP", 26, 4, []uint64{0}},
	{"destination IP", 30, 4, nil},
	{"source port", 34, 2, []uint64{0, 256}},
	{"destination port", 36, 2, nil},
	{"UDP length", 38, 2, nil},
	header("magic", 0, 2, 0x10DA),
	header("version", 2, 1),
	header("type", 3, 1, 0, 1, 2, 3, 5, 7, 8, 10, 11, 12, 13),
	header("op", 4, 1, 0, 1, 2, 3),
	header("status", 5, 1),
	header("attempt", 6, 1, 255),
	header("hops", 7, 1, 7, 8, 9, 255),
	header("epoch", 8, 4),
	header("replica", 12, 4, 0, 16, 17, 18, 33),
	header("version epoch", 16, 4, 0),
	header("digest", 20, 4),
	header("seq", 24, 8, 0, protocol.MaxSeq, protocol.MaxSeq+1),
	header("session", 32, 8, 0),
	header("request", 40, 8, 0, 1<<63),
	header("writer", 48, 8, 0, testSlots-1, testSlots, 1<<24-1),
	header("key hash", 80, 8),
	header("key length", 64, 2, 0, 250, 251),
	header("value length", 66, 2, 0),
	header("client IP", 68, 4, 0),
	header("client port", 72, 2, 0, 256),
	header("client MAC", 74, 6, 0),
	header("sent", 56, 8, 0),
}

// telling are the fields on which the meaning of a message hangs: most forgeries
// of others are dropped at the door.
var telling = []place{
	header("op", 4, 1, 0, 1, 2, 3),
	header("hops", 7, 1, 7, 8),
	header("version epoch", 16, 4),
	header("digest", 20, 4),
	header("seq", 24, 8),
	header("seq", 24, 8, protocol.MaxSeq),
	header("session", 32, 8),
	header("request", 40, 8),
	header("writer", 48, 8, 0, testSlots),
	header("client IP", 68, 4, 0),
	header("client IP", 68, 4, 0),
	header("client IP", 68, 4, 0),
	header("client IP", 68, 4, 0),
	header("client port", 72, 2, 0, 256),
	header("sent", 56, 8, 0),
}

// Forge hands the coordinator a frame that no correct sender makes, or none at
// all: an old or new one with something changed.
func (w *world) Forge(t *rapid.T) {
	bag := w.toCoordinator
	if rapid.Bool().Draw(t, "of the past") {
		bag = w.past
	}
	forgery := rapid.SampledFrom([]string{"field", "field", "telling", "telling", "bit", "cut", "grow", "reshape", "source"}).Draw(t, "forgery")
	if forgery == "telling" {
		bag = tellers(bag)
	}
	_, frame := pick(t, bag, "frame")
	frame = bytes.Clone(frame)
	switch forgery {
	case "field":
		change(t, frame, rapid.SampledFrom(places).Draw(t, "field"))
	case "telling":
		change(t, frame, rapid.SampledFrom(telling).Draw(t, "field"))
	case "bit":
		bit := rapid.IntRange(0, 8*(protocol.FrameOverhead+protocol.HeaderSize)-1).Draw(t, "bit")
		frame[bit/8] ^= 1 << (bit % 8)
	case "cut":
		frame = frame[:rapid.IntRange(minFrame, len(frame)).Draw(t, "size")]
	case "grow":
		frame = append(frame, make([]byte, rapid.IntRange(1, 1514-len(frame)).Draw(t, "more"))...)
	case "reshape":
		frame = reshape(t, frame)
	case "source":
		from := rapid.SampledFrom([]protocol.Address{client(3), replica(0).Address, replica(1).Address}).Draw(t, "source")
		m := mustDecode(t, frame)
		frame = protocol.NewFrame(&m, from, self)
	}
	w.route(t, w.handle(t, frame))
}

// tellers are the frames that name a version, if there are any: acknowledgements and
// replies are what most of the telling fields are about.
func tellers(frames [][]byte) [][]byte {
	var some [][]byte
	for _, f := range frames {
		var m protocol.Message
		if len(f) > protocol.FrameOverhead && m.Unmarshal(f[protocol.FrameOverhead:]) == nil && m.Version.Seq != 0 {
			some = append(some, f)
		}
	}
	if len(some) == 0 {
		return frames
	}
	return some
}

func change(t *rapid.T, frame []byte, p place) {
	field := frame[p.offset : p.offset+p.width]
	var wide [8]byte
	copy(wide[8-p.width:], field)
	old := binary.BigEndian.Uint64(wide[:])
	near := []uint64{old + 1, old - 1, ^old}
	value := rapid.SampledFrom(append(near, p.values...)).Draw(t, p.name)
	binary.BigEndian.PutUint64(wide[:], value)
	copy(field, wide[8-p.width:])
}

// reshape gives a frame another key and value, with lengths that fit.
func reshape(t *rapid.T, frame []byte) []byte {
	m := mustDecode(t, frame)
	from := protocol.Address{IP: [4]byte(frame[26:]), Port: binary.BigEndian.Uint16(frame[34:]), MAC: [6]byte(frame[6:])}
	keySize := rapid.SampledFrom([]int{0, 1, 16, 250}).Draw(t, "key size")
	largest := protocol.MaxPayloadSize - keySize
	valueSize := rapid.SampledFrom([]int{0, 1, 300, largest}).Draw(t, "value size")
	m.Key, m.Value = make([]byte, keySize), make([]byte, valueSize)
	m.Op = protocol.Op(rapid.IntRange(0, 3).Draw(t, "op"))
	out := protocol.NewFrame(&m, from, self)
	if total := keySize + valueSize; total > protocol.MaxKeySize && rapid.Bool().Draw(t, "long key") {
		binary.BigEndian.PutUint16(out[protocol.FrameOverhead+64:], protocol.MaxKeySize+1)
		binary.BigEndian.PutUint16(out[protocol.FrameOverhead+66:], uint16(total-protocol.MaxKeySize-1))
	}
	return out
}
