// SPDX-License-Identifier: Apache-2.0

package datagram

import (
	"net/netip"

	"dalio/protocol"
)

// MaxSize is the longest message in bytes. A longer datagram is received as an
// empty one, so that every message that can be decoded can be encoded again.
const MaxSize = protocol.HeaderSize + protocol.MaxPayloadSize

// bufferSize has one byte by which a datagram that is too long shows.
const bufferSize = MaxSize + 1

// Batch holds datagrams to be sent, or just received, and their addresses. It is
// filled anew each time, and not safe for concurrent use.
type Batch struct {
	buffers [][]byte // each with a capacity of bufferSize
	addrs   []netip.AddrPort
	n       int
	vector  vector
}

// NewBatch returns an empty batch with room for size datagrams.
func NewBatch(size int) *Batch {
	memory := make([]byte, size*bufferSize)
	b := &Batch{buffers: make([][]byte, size), addrs: make([]netip.AddrPort, size)}
	for i := range b.buffers {
		b.buffers[i] = memory[i*bufferSize : i*bufferSize : (i+1)*bufferSize]
	}
	b.vector.init(size)
	return b
}

// Len returns how many datagrams the batch holds.
func (b *Batch) Len() int { return b.n }

// Full says whether Add would have no room.
func (b *Batch) Full() bool { return b.n == len(b.buffers) }

// Reset empties the batch.
func (b *Batch) Reset() { b.n = 0 }

// Payload returns the ith datagram, valid until the batch changes.
func (b *Batch) Payload(i int) []byte { return b.buffers[i] }

// Address returns where the ith datagram came from or goes to.
func (b *Batch) Address(i int) netip.AddrPort { return b.addrs[i] }

// Add encodes a message for an address. It panics when the batch is full.
func (b *Batch) Add(m *protocol.Message, to netip.AddrPort) {
	b.buffers[b.n] = m.Append(b.buffers[b.n][:0])
	b.addrs[b.n] = to
	b.n++
}

// received sets the length of the ith datagram and where it came from.
func (b *Batch) received(i, size int, from netip.AddrPort) {
	if size > MaxSize {
		size = 0
	}
	b.buffers[i], b.addrs[i] = b.buffers[i][:size], from
}
