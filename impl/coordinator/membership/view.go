// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"net/netip"
	"time"

	"dalio/impl/config"
	"dalio/protocol"
)

// View is what a control plane knows, as it was a moment ago.
type View struct {
	// Name is the coordinator's own.
	Name string
	// Now is the time on a clock that only goes forward, for Timing.
	Now    time.Duration
	Timing Timing
	Config config.Config
	Kernel Kernel
	// Replicas says what is known of who answers at the addresses of the shard.
	Replicas map[netip.AddrPort]Replica
	// Wanted: the control plane wants to own the epoch, for the reason given.
	Wanted string
}

// Timing is how long a taking over waits.
type Timing struct {
	// Lease is for how long a replaced coordinator may release reads after a
	// replica has answered it last, drift of the clocks included.
	Lease time.Duration
	// Grace is how long a taking over waits for members that do not answer, and
	// Founding how long the first opening does.
	Grace, Founding time.Duration
}

// Kernel is what the control plane has told its data plane. Sets are of indices.
type Kernel struct {
	// Epoch is 0 while the data plane is closed.
	Epoch protocol.Epoch
	// IDs has the ids of the replicas known, by index.
	IDs [protocol.MaxMembers]protocol.ReplicaID
	// Members must acknowledge writes; Serving may be read from.
	Members, Serving uint16
	// Busy has the indices in the acknowledging set of some pending write.
	Busy uint16
	// MinMembers is as in the configuration.
	MinMembers int
}

// has says whether the set, which is one of k's, has the replica.
func (k *Kernel) has(set uint16, id protocol.ReplicaID) bool {
	return set>>id.Index()&1 != 0 && k.IDs[id.Index()] == id
}

// Replica is what is known of who answers at an address. The zero Replica is one
// of which nothing is known, for which nothing is done.
type Replica struct {
	// Suspected: it does not answer. That may be wrong.
	Suspected bool
	// Known: it has told its state, and the rest is what it told last.
	Known bool
	// ID is the membership it believes to be in, 0 for none.
	ID protocol.ReplicaID
	// Holds: it holds records or session records.
	Holds bool
	// Returned: it has come back with its disk, and is closed until an epoch is
	// recovered from it. It holds everything up to Floor. Old: its disk is from the
	// past, and lacks what was committed.
	Returned, Old bool
	Floor         protocol.Version
	// Unconfirmed: it has not answered as an open member since it became known that
	// another one has come back. It may have ended with that one, as when power is lost,
	// and lose its disk besides.
	Unconfirmed bool
	// Held: it should not be joined yet.
	Held    bool
	CatchUp CatchUp
}

// CatchUp is how far a joining member has come. From is the address it takes from,
// and Source the member that was there when it was told to, 0 if that is not
// known: there may be another by now.
type CatchUp struct {
	State  CatchUpState
	From   netip.AddrPort
	Source protocol.ReplicaID
}

// CatchUpState is whether a joining member has caught up.
type CatchUpState string

// The states.
const (
	NotBegun CatchUpState = "none"
	Running  CatchUpState = "running"
	Complete CatchUpState = "done"
	Failed   CatchUpState = "failed"
)

// present says whether nothing speaks against the member's being there.
func (v *View) present(m config.Member) bool {
	r := v.Replicas[m.Address]
	return !r.Suspected && (!r.Known || r.ID == m.ID && !r.Returned)
}

// amnesiac says whether somebody has answered in the member's place who is
// certainly not it: what the member held is gone.
func (v *View) amnesiac(m config.Member) bool {
	r := v.Replicas[m.Address]
	return r.Known && (r.ID != m.ID || r.Old)
}

// allReturned says whether the epoch has lost its members in sync, and one of them
// has come back with what it held: only another epoch opens it.
func (v *View) allReturned() bool {
	returned := false
	for _, m := range v.Config.Members {
		if !m.InSync {
			continue
		}
		if v.present(m) {
			return false
		}
		r := v.Replicas[m.Address]
		returned = returned || r.Returned && !r.Suspected && !v.amnesiac(m)
	}
	return returned
}

// since returns above which version the members to recover from may differ, nil
// for above their floors: one that has come back may have forgotten that what it
// holds is settled, or the end of its log is damaged.
func (v *View) since(members []config.Member) *protocol.Version {
	var lowest *protocol.Version
	for _, m := range members {
		if r := v.Replicas[m.Address]; r.Returned && (lowest == nil || r.Floor.Less(*lowest)) {
			lowest = &r.Floor
		}
	}
	return lowest
}

// leaving says whether the member is to go, whatever its state.
func (v *View) leaving(m config.Member) bool {
	r, ok := v.Config.ReplicaAt(m.Address)
	return !ok || r.Drained
}

// sound says whether what the member has been told to catch up from is in sync
// still, and has been all the time.
func (v *View) sound(m config.Member) bool {
	source, ok := v.Config.Member(v.Replicas[m.Address].CatchUp.Source)
	return ok && source.InSync && v.present(source)
}

// stranded says whether the member has to begin anew: it was told to catch up from
// somebody who is not in sync any more, and nobody else is. What it has got since
// can't be told from what it should have.
func (v *View) stranded(m config.Member) bool {
	c := v.Replicas[m.Address].CatchUp
	if m.InSync || !c.From.IsValid() || c.State == NotBegun || v.sound(m) {
		return false
	}
	_, ok := v.source(m)
	return !ok
}

// removed returns the members to be taken out. Of the members in sync one that
// nothing speaks against stays: that of the last one may be wrong, and nobody else
// holds what it holds. Those that have come back hold it, too, and are not given up
// for one of which nothing has been heard since.
func (v *View) removed() []config.Member {
	var bad []config.Member
	good := 0
	for _, m := range v.Config.Members {
		switch {
		case !v.present(m), v.leaving(m), v.stranded(m):
			bad = append(bad, m)
		case m.InSync && !v.Replicas[m.Address].Unconfirmed:
			good++
		}
	}
	if good > 0 {
		return bad
	}
	// Nobody is left beyond doubt. Who has certainly lost everything may still go,
	// if another one may not have.
	var lost []config.Member
	doubtful := 0
	for _, m := range bad {
		switch {
		case !m.InSync, v.amnesiac(m):
			lost = append(lost, m)
		default:
			doubtful++
		}
	}
	if doubtful == 0 {
		return nil
	}
	return lost
}

// source returns a member to catch up from, at another address than before: asked
// for the same again, a replica takes itself to be done already. Who serves is in
// sync.
func (v *View) source(joining config.Member) (config.Member, bool) {
	var found config.Member
	ok := false
	from := v.Replicas[joining.Address].CatchUp.From
	for _, m := range v.Config.Members {
		again := m.Address == from && !v.sound(joining)
		if m.ID != joining.ID && !again && v.present(m) && v.Kernel.has(v.Kernel.Serving, m.ID) {
			// The highest index, so that not everything is asked of the first.
			found, ok = m, true
		}
	}
	return found, ok
}
