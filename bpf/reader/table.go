// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"dalio/bpf/cache"
	"dalio/protocol"
)

const (
	// stripes is how many parts a replica's keys fall into, by their hash modulo
	// this. A set has keys of one part only.
	stripes = 256
	// ways is how many cells a set has.
	ways = 8
	// headSize is what precedes the cells of a set.
	headSize = ways*4 + 32
	cellSize = int(unsafe.Sizeof(cell{}))
)

func setSize(room int) uint32 { return uint32(headSize + ways*(cellSize+room)) }

// Table is what the program answers from. Its methods about a key may run at the
// same time as those about a key of another stripe, and as the program; the others
// while nothing else runs but the program.
type Table struct {
	memory, viewMemory []byte
	mask               uint64
	room               int
	member             protocol.ReplicaID
	// hands say, for each set, where to look next for a cell that can be given away.
	hands []uint8
}

// cell is struct cell of state.h, without its payload.
type cell struct {
	sequence, used       uint32
	replica              [4]byte
	keyLen, valueLen     uint16
	keyHash              [8]byte
	versionEpoch, digest [4]byte
	seq, writer          [8]byte
}

func mapTable(sets, view *ebpf.Map, o Options) (*Table, error) {
	n := o.Keys / ways
	memory, err := mapMemory(sets, n*int(setSize(o.Room)))
	if err != nil {
		return nil, err
	}
	word, err := mapMemory(view, 8)
	if err != nil {
		return nil, errors.Join(err, unix.Munmap(memory))
	}
	return &Table{memory: memory, viewMemory: word, mask: uint64(n - 1), room: o.Room, hands: make([]uint8, n)}, nil
}

func mapMemory(m *ebpf.Map, size int) ([]byte, error) {
	memory, err := unix.Mmap(m.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the table of the in-kernel read path, %d bytes: %w", size, err)
	}
	return memory, nil
}

func (t *Table) unmap() error {
	return errors.Join(unix.Munmap(t.memory), unix.Munmap(t.viewMemory))
}

// Size is how many bytes of memory the table has.
func (t *Table) Size() int { return len(t.memory) }

// View lets the program answer as the member of the epoch, or not at all if the id
// is 0. When it returns, whatever the program has not begun to answer is answered
// in that way.
func (t *Table) View(e protocol.Epoch, id protocol.ReplicaID) {
	var word [8]byte
	if id != 0 {
		binary.BigEndian.PutUint32(word[:], uint32(e))
		binary.BigEndian.PutUint32(word[4:], uint32(id))
	}
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&t.viewMemory[0])), binary.NativeEndian.Uint64(word[:]))
}

// Begin begins a membership: what is put from now on came under it, and what was
// put before is not there any more.
func (t *Table) Begin(id protocol.ReplicaID) { t.member = id }

// Put replaces what is said of a key. A key that is new gets a cell if its set has
// an empty one.
func (t *Table) Put(key []byte, r protocol.Record) {
	hash := protocol.KeyHash(key)
	way, held := t.find(hash, key)
	switch {
	case r.Op != protocol.OpPut || len(key)+len(r.Value) > t.room:
		if held {
			t.cell(hash, way).change(func(c *cell) { c.replica = [4]byte{} })
		}
	case held:
		t.fill(hash, way, key, r)
	default:
		if way, empty := t.empty(hash); empty {
			t.fill(hash, way, key, r)
		}
	}
}

// Admit has the program answer for a key that the process was asked for, in place
// of one that was not read lately if need be. The record is what is held of the key.
func (t *Table) Admit(key []byte, r protocol.Record) {
	if r.Op != protocol.OpPut || len(key)+len(r.Value) > t.room {
		return
	}
	hash := protocol.KeyHash(key)
	if _, held := t.find(hash, key); held {
		return // The program was asked before the record was there, or while it changed.
	}
	way, empty := t.empty(hash)
	if !empty {
		way = t.victim(hash)
	}
	t.fill(hash, way, key, r)
}

// victim chooses a cell of a full set: the next one that was not read since it was
// passed over last.
func (t *Table) victim(hash uint64) int {
	hand := &t.hands[hash&t.mask]
	for range ways {
		way := int(*hand)
		*hand = (*hand + 1) % ways
		if atomic.SwapUint32(&t.cell(hash, way).used, 0) == 0 {
			return way
		}
	}
	return int(*hand)
}

// find returns the cell of a key.
func (t *Table) find(hash uint64, key []byte) (way int, held bool) {
	for way := range ways {
		if *t.tag(hash, way) != tagOf(hash) {
			continue // Without a look at the cell, which is rarely in the processor's caches.
		}
		if c := t.cell(hash, way); t.current(c) && binary.BigEndian.Uint64(c.keyHash[:]) == hash &&
			string(t.payload(hash, way)[:c.keyLen]) == string(key) {
			return way, true
		}
	}
	return 0, false
}

// Prefetch has what find will look at come into the processor's caches: the tags first,
// and then the cell of the key.
func (t *Table) Prefetch(hash uint64, look int) {
	if look == 0 {
		cache.Prefetch(unsafe.Pointer(t.tag(hash, 0)), headSize)
		return
	}
	for way := range ways {
		if *t.tag(hash, way) == tagOf(hash) {
			cache.Prefetch(unsafe.Pointer(t.cell(hash, way)), uintptr(cellSize+t.room))
		}
	}
}

// empty returns a cell that has no record of the present membership.
func (t *Table) empty(hash uint64) (way int, found bool) {
	for way := range ways {
		if !t.current(t.cell(hash, way)) {
			return way, true
		}
	}
	return 0, false
}

func (t *Table) current(c *cell) bool {
	return c.replica != [4]byte{} && binary.BigEndian.Uint32(c.replica[:]) == uint32(t.member)
}

func (t *Table) fill(hash uint64, way int, key []byte, r protocol.Record) {
	be := binary.BigEndian
	t.cell(hash, way).change(func(c *cell) {
		be.PutUint32(c.replica[:], uint32(t.member))
		c.keyLen, c.valueLen = uint16(len(key)), uint16(len(r.Value))
		be.PutUint64(c.keyHash[:], hash)
		be.PutUint32(c.versionEpoch[:], uint32(r.Version.Epoch))
		be.PutUint32(c.digest[:], r.Digest)
		be.PutUint64(c.seq[:], r.Version.Seq)
		be.PutUint64(c.writer[:], uint64(r.Writer))
		payload := t.payload(hash, way)
		copy(payload[copy(payload, key):], r.Value)
	})
	atomic.StoreUint32(t.tag(hash, way), tagOf(hash))
}

// change changes a cell. The sequence number is odd meanwhile, so that the program
// believes nothing of what it sees.
func (c *cell) change(f func(*cell)) {
	atomic.AddUint32(&c.sequence, 1)
	f(c)
	atomic.AddUint32(&c.sequence, 1)
}

func (t *Table) set(hash uint64) []byte {
	size := int(setSize(t.room))
	return t.memory[int(hash&t.mask)*size:][:size]
}

// tagOf is the tag of a cell whose key has the hash.
func tagOf(hash uint64) uint32 { return uint32(hash >> 32) }

func (t *Table) tag(hash uint64, way int) *uint32 {
	return (*uint32)(unsafe.Pointer(&t.set(hash)[way*4]))
}

func (t *Table) cell(hash uint64, way int) *cell {
	return (*cell)(unsafe.Pointer(&t.set(hash)[headSize+way*(cellSize+t.room)]))
}

func (t *Table) payload(hash uint64, way int) []byte {
	return t.set(hash)[headSize+way*(cellSize+t.room)+cellSize:][:t.room]
}
