// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"
	"unsafe"

	"dalio/protocol"
)

// memoryRecord is the head of a record of a [MemoryStore]. Key, value and spare room
// follow it in the same piece of memory, which has no pointers: a record that is not in
// the processor's caches costs one wait, and the garbage collector none.
type memoryRecord struct {
	version protocol.Version
	writer  protocol.SessionID
	request uint64
	digest  uint32
	member  protocol.ReplicaID
	// keyLen and valueLen are those of key and value, and room what a value may have.
	keyLen, valueLen, room uint16
	op                     protocol.Op
	// recent and deleted: it is in the stripe's list of that name. gone: it may be in
	// one, but is not in the index any more.
	recent, deleted, gone bool
}

const (
	headSize = int(unsafe.Sizeof(memoryRecord{}))
	wordSize = 8
)

// newMemoryRecord returns a record of a key with room for a value.
func newMemoryRecord(key, value []byte) *memoryRecord {
	if len(key)+len(value) > protocol.MaxPayloadSize {
		panic(fmt.Sprintf("replica: record with key of %d and value of %d bytes", len(key), len(value)))
	}
	words := make([]uint64, (headSize+len(key)+len(value)+wordSize-1)/wordSize)
	r := (*memoryRecord)(unsafe.Pointer(unsafe.SliceData(words)))
	r.keyLen = uint16(len(key))
	r.room = uint16(len(words)*wordSize - headSize - len(key))
	copy(r.payload(), key)
	return r
}

// payload is what follows the head: the key, and the room for the value.
func (r *memoryRecord) payload() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(r), headSize)), int(r.keyLen)+int(r.room))
}

// key returns the key, which never changes.
func (r *memoryRecord) key() string {
	return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(r), headSize)), r.keyLen)
}

func (r *memoryRecord) fits(value []byte) bool { return len(value) <= int(r.room) }

// set replaces all but the key. The value must fit.
func (r *memoryRecord) set(to protocol.Record, member protocol.ReplicaID) {
	r.version, r.writer, r.request, r.digest, r.op, r.member = to.Version, to.Writer, to.Request, to.Digest, to.Op, member
	r.valueLen = uint16(copy(r.payload()[r.keyLen:], to.Value))
}

// record returns the record; its value is the memory itself.
func (r *memoryRecord) record() protocol.Record {
	end := r.keyLen + r.valueLen
	return protocol.Record{Version: r.version, Writer: r.writer, Request: r.request, Op: r.op, Digest: r.digest, Value: r.payload()[r.keyLen:end:end]}
}
