// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// Stripes is how many parts the keys fall into, by KeyHash(key) % Stripes. The
// server calls Get and Put of one part one at a time, and keeps what Get returned
// only until it calls Put of that part; a Store needs no locks for what it keeps
// apart by stripe, and may write over a value in place.
const Stripes = 256

// Store holds a replica's records, and knows under which membership each of them
// came here. What came before the present one is hidden from Get and Put: it may
// never have been committed. All methods with a stripe are called with that
// stripe to themselves, Begin with all of them.
type Store interface {
	protocol.Store
	// Begin begins a membership. A volatile store forgets everything.
	Begin(id protocol.ReplicaID) error
	// Merge replaces what is held of a key by what a source holds of it, as
	// protocol.Merge says, and returns whether that changed anything. A record
	// with OpNone says that the source holds nothing.
	Merge(stripe int, key []byte, source protocol.Record) (changed bool)
	// Each visits the records of a stripe, in no order, until the visit returns
	// false. Earlier says that one is from before the present membership. What is
	// visited is valid during the visit.
	Each(stripe int, visit func(key string, r protocol.Record, earlier bool) bool)
	// Recent visits the records of a stripe that were put since they were last
	// settled, and Settle forgets that of those up to the version.
	Recent(stripe int, visit func(key string, r protocol.Record) bool)
	Settle(stripe int, floor protocol.Version)
	// Collect deletes the tombstones up to the version.
	Collect(stripe int, mark protocol.Version)
	// Size counts the records of a stripe, and the bytes of their keys and values.
	Size(stripe int) (records int, bytes int64)
}

// Prefetcher is a [Store] or a [ReadPath] that can have what it knows of a key come into
// the processor's caches before it is asked for it.
type Prefetcher interface {
	// Prefetch is called for each key of some messages that are to be handled, by its hash,
	// with its stripe to itself: for all of them with look 0, and then with look 1, when
	// what the first look asked for may have come. It changes nothing.
	Prefetch(hash uint64, look int)
}

// looks is how many there are.
const looks = 2

// Syncer is a [Store] that keeps records beyond the process's life.
//
// The server calls Sync after each batch with writes, and sends their
// acknowledgements only after it returns. Sync must not return nil before every
// record that a Get or a Put has shown to anybody is durable: a stale write is
// acknowledged too, on the strength of a newer one that another worker stored.
// A Put that fails must make every later Sync fail; the server then stops, for
// it can acknowledge nothing any more.
type Syncer interface {
	Store
	Sync() error
}

// Keeper is a [Syncer] that keeps what the replica is, too. What is on disk is at
// any time what the store held at some moment, never some of it from before and
// some from after: what is given to it becomes durable in the order given, and
// Sync waits for all of it.
type Keeper interface {
	Syncer
	// Kept returns what was on the disk when it was opened.
	Kept() (Membership, []protocol.SessionRecord)
	// Keep takes note of a membership, KeepSession of a session record, and
	// ForgetSessions forgets all of those.
	Keep(Membership)
	KeepSession(protocol.SessionRecord)
	ForgetSessions()
	// Failed is closed when the disk has failed; Sync returns why from then on.
	Failed() <-chan struct{}
	// Disk tells of the disk.
	Disk() control.Disk
}

// Membership is what a replica must remember of its membership.
type Membership struct {
	Shard string
	// ID is 0 for none; LastID is the last one there was.
	ID, LastID protocol.ReplicaID
	Epoch      protocol.Epoch
	// Floor and Collect are those of protocol.Replica.
	Floor, Collect protocol.Version
}
