// SPDX-License-Identifier: Apache-2.0

package control

import (
	"fmt"
	"net/netip"

	"dalio/protocol"
)

// The paths of the requests.
const (
	StatusPath   = "/v1/status"
	AssignPath   = "/v1/assign"
	FencePath    = "/v1/fence"
	RecentPath   = "/v1/recent"
	InstallPath  = "/v1/install"
	OpenPath     = "/v1/open"
	SettlePath   = "/v1/settle"
	CatchUpPath  = "/v1/catch-up"
	ExpelPath    = "/v1/expel"
	SessionsPath = "/v1/sessions"
	DigestsPath  = "/v1/digests"
	DigestPath   = "/v1/digest"
	RangePath    = "/v1/range"
)

// MaxBits is the finest division of the keys into ranges, 2^MaxBits of them.
const MaxBits = 12

// Status is what a replica tells of itself.
type Status struct {
	// Instance names the process: another one has another name.
	Instance string `json:"instance"`
	// Shard is the one that the replica belongs to, "" before it was told.
	Shard string `json:"shard"`
	// ID is 0 while the replica is no member: it refuses every message then.
	ID    protocol.ReplicaID `json:"id"`
	Epoch protocol.Epoch     `json:"epoch"`
	// Open: messages of the epoch are answered.
	Open bool `json:"open"`
	// Disk is nil for a replica in memory.
	Disk *Disk `json:"disk,omitempty"`
	// Returned is set if the membership is from before the process began: what was
	// on the disk then. The replica answers nothing until a later epoch opens it.
	Returned *Returned `json:"returned,omitempty"`
	// Records counts the keys, tombstones included, and Bytes their keys and values.
	Records  int   `json:"records"`
	Bytes    int64 `json:"bytes"`
	Sessions int   `json:"sessions"`
	// Recent counts the records above the floor.
	Recent  int              `json:"recent"`
	Floor   protocol.Version `json:"floor"`
	Collect protocol.Version `json:"collect"`
	Newest  protocol.Version `json:"newest"`
	CatchUp Progress         `json:"catch_up"`
	// Counters says what the process has done since it started.
	Counters Counters `json:"counters"`
}

// Disk tells of a replica's disk.
type Disk struct {
	// Name was made with the disk's folder. Starts is how often it was opened.
	Name   string `json:"name"`
	Starts uint64 `json:"starts"`
	// SetAside is where the damaged contents are that were found when the process
	// began, "" if there were none.
	SetAside string `json:"set_aside,omitempty"`
	// Syncs, and the nanoseconds that they took in all; Bytes were written by them.
	Syncs    uint64 `json:"syncs"`
	SyncTime uint64 `json:"sync_ns"`
	Bytes    uint64 `json:"bytes"`
	// Errors counts what the disk failed at. The first one ends the process.
	Errors uint64 `json:"errors"`
}

// Returned is what a replica remembered when its process began.
type Returned struct {
	Epoch protocol.Epoch `json:"epoch"`
	// Fenced is the first epoch that it was fenced for since, 0 for none.
	Fenced  protocol.Epoch   `json:"fenced,omitempty"`
	Floor   protocol.Version `json:"floor"`
	Collect protocol.Version `json:"collect"`
}

// CatchUpState says how a catch-up stands.
type CatchUpState string

// The states of a catch-up.
const (
	// None: the membership began with nothing to catch up, or nobody has asked.
	None    CatchUpState = "none"
	Running CatchUpState = "running"
	// Done: the replica holds all that its source held, and more only of what
	// was written meanwhile.
	Done   CatchUpState = "done"
	Failed CatchUpState = "failed"
)

// Progress says how far a catch-up is.
type Progress struct {
	State  CatchUpState   `json:"state"`
	Source netip.AddrPort `json:"source,omitzero"`
	// Done of Total ranges of the keys are equal to the source's, Skipped of them
	// without having been fetched.
	Done    int `json:"done"`
	Total   int `json:"total"`
	Skipped int `json:"skipped"`
	// Bytes have been received; Records of them changed what the replica held.
	Bytes   int64 `json:"bytes"`
	Records int64 `json:"records"`
	// Retries counts the connections that broke.
	Retries int    `json:"retries"`
	Error   string `json:"error,omitempty"`
}

// Counters says what a replica has done since it started.
type Counters struct {
	Reads  uint64 `json:"reads"`
	Writes uint64 `json:"writes"`
	Probes uint64 `json:"probes"`
	// Malformed datagrams were no Dalio messages, Refused ones not for this
	// replica, by reason.
	Malformed uint64            `json:"malformed"`
	Refused   map[string]uint64 `json:"refused"`
	// Unsent answers were turned down by the network stack.
	Unsent uint64 `json:"unsent"`
	// Batches is how often the replica woke up; many messages to one batch mean
	// that it was busy.
	Batches uint64 `json:"batches"`
	// Overflows datagrams were lost because the receive buffer was full.
	Overflows uint64 `json:"overflows"`
	// Requests of the control API were done, Turned ones refused, by path.
	Requests map[string]uint64 `json:"requests"`
	Turned   map[string]uint64 `json:"turned"`
	// Kernel is nil if the process answers all reads itself.
	Kernel *KernelReads `json:"kernel,omitempty"`
}

// KernelReads says what became of messages before they came to the process.
type KernelReads struct {
	// Answered reads never came there, Passed messages did, by reason.
	Answered uint64            `json:"answered"`
	Passed   map[string]uint64 `json:"passed"`
}

func (k *KernelReads) String() string {
	if k == nil {
		return "none"
	}
	return fmt.Sprintf("{Answered:%d Passed:%v}", k.Answered, k.Passed)
}

// Assignment makes a replica a member under a new id.
type Assignment struct {
	Shard string             `json:"shard"`
	ID    protocol.ReplicaID `json:"id"`
	Epoch protocol.Epoch     `json:"epoch"`
	// Collect is the mark up to which tombstones have been deleted elsewhere.
	Collect protocol.Version `json:"collect"`
	// Sessions is the size of the coordinator's session table.
	Sessions int `json:"sessions"`
}

// Fence has a replica refuse the epochs before this one.
type Fence struct {
	Shard string         `json:"shard"`
	Epoch protocol.Epoch `json:"epoch"`
}

// Fenced says what a fenced replica is.
type Fenced struct {
	ID     protocol.ReplicaID `json:"id"`
	Floor  protocol.Version   `json:"floor"`
	Newest protocol.Version   `json:"newest"`
}

// Opening lets a fenced replica answer the messages of its epoch.
type Opening struct {
	Epoch protocol.Epoch `json:"epoch"`
}

// Settlement tells what every member holds.
type Settlement struct {
	Epoch   protocol.Epoch   `json:"epoch"`
	Floor   protocol.Version `json:"floor"`
	Collect protocol.Version `json:"collect"`
}

// CatchUp has a joining replica fetch what it lacks.
type CatchUp struct {
	// ID and Epoch are those that the replica was assigned.
	ID     protocol.ReplicaID `json:"id"`
	Epoch  protocol.Epoch     `json:"epoch"`
	Source netip.AddrPort     `json:"source"`
	// Rate bounds what is received, in bytes a second; 0 is no bound.
	Rate int64 `json:"rate"`
}

// Expulsion ends a membership.
type Expulsion struct {
	ID protocol.ReplicaID `json:"id"`
}

// RangeDigest sums up the records of one range: two ranges with the same records
// have the same digest, and others almost certainly not.
type RangeDigest struct {
	Sum     uint64 `json:"sum"`
	Records int    `json:"records"`
}

// Digests has the digest of each range.
type Digests struct {
	Bits   int           `json:"bits"`
	Ranges []RangeDigest `json:"ranges"`
}

// Error is a replica's refusal.
type Error struct {
	// Code is the HTTP status: 409 if the request does not fit the replica's
	// state, which another request may.
	Code int `json:"-"`
	// Message says what, why, and what to do.
	Message string `json:"error"`
	// ID and Epoch are the replica's.
	ID    protocol.ReplicaID `json:"id"`
	Epoch protocol.Epoch     `json:"epoch"`
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s (status %d, replica %d in epoch %d)", e.Message, e.Code, e.ID, e.Epoch)
}
