// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"dalio/bpf"
	"dalio/impl/config"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// maxPendingListed bounds the list of pending writes in a Status.
const maxPendingListed = 256

// Status is a report on a coordinator, as its status socket gives it.
type Status struct {
	Name string `json:"name,omitempty"`
	// Role says whether the coordinator is the one that serves.
	Role Role `json:"role"`
	// Epoch is 0 while the data plane is closed.
	Epoch   uint32 `json:"epoch"`
	Address string `json:"address"`
	// Device names the coordinator's device, or all of them, with commas between.
	Device  string   `json:"device"`
	Uptime  float64  `json:"uptime_seconds"`
	Members []Member `json:"members"`
	// Pending has the pending writes, the longest waiting first, at most 256;
	// PendingCount counts all.
	Pending      []PendingWrite `json:"pending"`
	PendingCount int            `json:"pending_count"`
	Sessions     Sessions       `json:"sessions"`
	// Drops has the frames dropped by reason, Actions the messages that reached
	// a handler, Activities what the handlers did.
	Drops      map[string]uint64 `json:"drops"`
	Actions    map[string]uint64 `json:"actions"`
	Activities map[string]uint64 `json:"activities"`
	// The rest is there only if the members can change: the configuration as it was
	// read last, the coordinators that are there, the replicas that belong to the
	// shard, and what keeps the control plane from seeing to it.
	Config       *config.Config    `json:"config,omitempty"`
	Coordinators []config.Presence `json:"coordinators,omitempty"`
	Replicas     []ReplicaStatus   `json:"replicas,omitempty"`
	Trouble      string            `json:"trouble,omitempty"`
}

// Role is what a coordinator is to its shard.
type Role string

// The roles.
const (
	// RoleFixed: there is only this one, and its members never change.
	RoleFixed      Role = "fixed"
	RoleActive     Role = "active"
	RoleStandby    Role = "standby"
	RoleTakingOver Role = "taking over"
)

// ReplicaStatus is how a replica of the shard stands, member or not.
type ReplicaStatus struct {
	Address string `json:"address"`
	// ID is its membership's, or what it believes to be, 0 for none.
	ID uint32 `json:"id"`
	// State is serving, in sync, joining, returned (with its disk, and closed until it
	// is recovered from or joins again), waiting (to be joined), drained or absent.
	State     string   `json:"state"`
	Suspected bool     `json:"suspected"`
	LastHeard *float64 `json:"last_heard_seconds"`
	// CatchUp is how far a joining member has come.
	CatchUp *control.Progress `json:"catch_up,omitempty"`
	// Kernel is what its read path in the kernel had counted when it was asked last;
	// nil if it has none.
	Kernel *control.KernelReads `json:"kernel_reads,omitempty"`
}

func sortReplicas(all []ReplicaStatus) {
	slices.SortFunc(all, func(a, b ReplicaStatus) int { return cmp.Compare(a.Address, b.Address) })
}

// Member is a replica that must acknowledge writes.
type Member struct {
	ID      uint32 `json:"id"`
	Address string `json:"address"`
	MAC     string `json:"mac"`
	// Device is the one by which the coordinator reaches the replica.
	Device  string `json:"device"`
	Serving bool   `json:"serving"`
	// LastHeard is how long ago the replica answered a probe, nil for never.
	// Probes go out once a second.
	LastHeard *float64 `json:"last_heard_seconds"`
	// Reads counts the reads forwarded to the replica.
	Reads uint64 `json:"reads"`
	// Unacknowledged counts the pending writes that wait for the replica.
	Unacknowledged int `json:"unacknowledged"`
}

// PendingWrite is a write that some members have not acknowledged.
type PendingWrite struct {
	Session uint64 `json:"session"`
	Request uint64 `json:"request"`
	Version string `json:"version"`
	Op      string `json:"op"`
	KeyHash uint64 `json:"key_hash"`
	// Missing has the ids of the members that have not acknowledged it.
	Missing []uint32 `json:"missing"`
	// Waiting is for how long the write has been seen pending. The control plane
	// looks when commits have come to a halt, so the write may be a little older.
	Waiting float64 `json:"waiting_seconds"`
}

// Sessions says how full the session table is.
type Sessions struct {
	Size int `json:"size"`
	// Opened slots have an owner; those idle for long enough can have another.
	Opened int `json:"opened"`
}

// pendingKey names a pending write: a slot's seq never comes back.
type pendingKey struct {
	slot int
	seq  uint64
}

const (
	// tableFresh is for how long a status tells what was found in the session table
	// before: to look through all of it takes milliseconds.
	tableFresh = 100 * time.Millisecond
	// scanInterval is how often the table is looked through for abandoned writes
	// while others commit.
	scanInterval = 10 * time.Second
)

// watch remembers since when writes have been pending.
type watch struct {
	since map[pendingKey]time.Time
	// table is the session table as it was at the last look, and epoch the one of
	// then.
	table  []protocol.SessionEntry
	epoch  protocol.Epoch
	looked time.Time
	// lastDue is when the table was last due for abandoned writes, and commits the
	// counter at the last tick.
	lastDue time.Time
	commits uint64
}

// due says whether the table should be looked through for abandoned writes at a
// tick. Who asks for a status puts that off no further.
func (w *watch) due(c bpf.Counters, now time.Time) bool {
	commits, pending := c.Activities["commits"], c.Activities["sequenced"] > c.Activities["commits"]
	halted := commits == w.commits
	w.commits = commits
	if !pending || !halted && now.Sub(w.lastDue) < scanInterval {
		return false
	}
	w.lastDue = now
	return true
}

// fresh says whether the last look is as good as another one, for a status.
func (w *watch) fresh(e protocol.Epoch, now time.Time) bool {
	return w.epoch == e && now.Sub(w.looked) < tableFresh
}

// scan takes note of what is pending now, and forgets what no longer is.
func (w *watch) scan(state *protocol.Coordinator, now time.Time) {
	since := make(map[pendingKey]time.Time)
	for slot := range state.Sessions {
		if e := &state.Sessions[slot]; e.Pending() {
			key := pendingKey{slot, e.Seq}
			since[key] = now
			if before, ok := w.since[key]; ok {
				since[key] = before
			}
		}
	}
	w.since, w.table, w.epoch, w.looked = since, state.Sessions, state.Epoch, now
}

// older returns the writes that have been pending for so long.
func (w *watch) older(state *protocol.Coordinator, now time.Time, than time.Duration) (all []protocol.SessionEntry) {
	for slot := range state.Sessions {
		e := &state.Sessions[slot]
		if since, ok := w.since[pendingKey{slot, e.Seq}]; ok && e.Pending() && now.Sub(since) >= than {
			all = append(all, *e)
		}
	}
	return all
}

// report fills in a status from the data plane's state, and from the last look at
// the sessions.
func (w *watch) report(s *Status, state *protocol.Coordinator, now time.Time) {
	s.Epoch = uint32(state.Epoch)
	s.Sessions.Size = len(w.table)
	unacknowledged := make(map[uint32]int)
	for slot := range w.table {
		e := &w.table[slot]
		if e.Owner != 0 {
			s.Sessions.Opened++
		}
		if !e.Pending() {
			continue
		}
		p := PendingWrite{Session: uint64(e.Owner), Request: e.Request, Op: e.Op.String(), KeyHash: e.KeyHash,
			Version: protocol.Version{Epoch: state.Epoch, Seq: e.Seq}.String(),
			Waiting: now.Sub(w.since[pendingKey{slot, e.Seq}]).Seconds()}
		for i, m := range state.Known {
			if state.Members&^e.Acks>>i&1 != 0 {
				p.Missing = append(p.Missing, uint32(m.ID))
				unacknowledged[uint32(m.ID)]++
			}
		}
		s.Pending = append(s.Pending, p)
	}
	s.PendingCount = len(s.Pending)
	slices.SortStableFunc(s.Pending, func(a, b PendingWrite) int { return cmp.Compare(b.Waiting, a.Waiting) })
	s.Pending = s.Pending[:min(len(s.Pending), maxPendingListed)]
	for i, m := range state.Known {
		if m.ID == 0 {
			continue
		}
		ip, mac := m.Address.IP, m.Address.MAC
		s.Members = append(s.Members, Member{ID: uint32(m.ID), Serving: state.Serving>>i&1 != 0,
			Address: fmt.Sprintf("%d.%d.%d.%d:%d", ip[0], ip[1], ip[2], ip[3], m.Address.Port),
			MAC:     fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]),

			Unacknowledged: unacknowledged[uint32(m.ID)]})
	}
}
