// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"sync/atomic"

	"dalio/impl/load"
)

// insertShare is how many keys are inserted in a sample at most: one for so many that were
// filled, which is more than come of a second. So replicas have room for those of all
// samples. Once there are as many, a sample goes on with the first of them, which is no
// insert.
const insertShare = 60

// inserts is how many keys a sample inserts at most for each socket.
func (s Settings) inserts() uint64 { return uint64(max(1, s.Keys/insertShare/s.Sockets)) }

// latest draws operations for ever: writes insert keys, one after the other, and reads are
// of those that came last, by Zipf's law, whichever socket they were inserted by; the keys
// that were filled are older than all of them. A key is read only when its insert and all
// that the socket began before are acknowledged, so a read must find it.
type latest struct {
	// mixed draws whether it is a read, and of the how manieth last.
	mixed
	filled, most uint64
	socket       uint64
	// begun is how many inserts this socket has begun, and inserted how many of each
	// socket, counted from its first, are acknowledged.
	begun    uint64
	inserted []counter
	// ahead has those acknowledged before one that was begun before them.
	ahead map[uint64]bool
}

// counter is written by the goroutine of one socket, and read by all.
type counter struct {
	atomic.Uint64
	_ [56]byte // A cache line.
}

// sources returns what makes the sources of a sample, by socket.
func sources(m load.Mix, o Settings, drawn []uint32) func(int) source {
	if !m.Latest {
		return func(i int) source { return newMixed(m, drawn, i) }
	}
	inserted := make([]counter, o.Sockets)
	return func(i int) source {
		return &latest{mixed: *newMixed(m, drawn, i), filled: uint64(o.Keys), most: o.inserts(), socket: uint64(i),
			inserted: inserted, ahead: map[uint64]bool{}}
	}
}

func (l *latest) next() (choice, bool) {
	c, _ := l.mixed.next()
	if c.write {
		l.begun++
		return choice{write: true, inserted: true, number: l.begun - 1, key: l.name(l.socket, l.begun-1)}, true
	}
	// The newest of each socket, then the one before it of each, and so on.
	rank, sockets := uint64(c.key), uint64(len(l.inserted))
	from, age := rank%sockets, rank/sockets
	n := l.inserted[from].Load()
	held := min(n, l.most)
	if age < held {
		return choice{inserted: true, key: l.name(from, n-1-age)}, true
	}
	return choice{key: uint32(l.filled - 1 - (rank - held*sockets))}, true
}

// name is the number in the name of a socket's nth insert.
func (l *latest) name(socket, n uint64) uint32 {
	return uint32(n%l.most*uint64(len(l.inserted)) + socket)
}

// written takes note of an insert that was acknowledged.
func (l *latest) written(c choice) {
	l.ahead[c.number] = true
	n := l.inserted[l.socket].Load()
	for l.ahead[n] {
		delete(l.ahead, n)
		n++
	}
	l.inserted[l.socket].Store(n)
}
