// SPDX-License-Identifier: Apache-2.0

package event

// Membership is what an event tells of the shard's configuration, and of who is a
// member of it. Ids are those of memberships, addresses those of replicas.
type Membership struct {
	// Coordinator is whose control plane it is, or who owns the epoch that is told of.
	Coordinator string `json:"coordinator,omitempty"`
	// Revision is that of the configuration: the one that was made, or the one that
	// the step was named for.
	Revision int64 `json:"revision,omitempty"`
	// IDs are the members that the step reached, those of the configuration, or those
	// that a data plane knows; InSync are those of the configuration that are in sync.
	IDs    []uint32 `json:"ids,omitempty"`
	InSync []uint32 `json:"in_sync,omitempty"`
	// At is the replica that tells, and Source the one that it has caught up from.
	At     string `json:"at,omitempty"`
	Source string `json:"source,omitempty"`
	// Began is when a control plane began the step, in nanoseconds as Time is: what it
	// changes, others may see from then on.
	Began int64 `json:"began,omitempty"`
	// Ring is that of the events of the coordinator's data plane.
	Ring uint32 `json:"ring,omitempty"`
	// Lease is for how long, in nanoseconds, a coordinator that takes over waits for
	// members which it can't reach.
	Lease int64 `json:"lease,omitempty"`
}

// Steps names the events of the membership: those of control planes, in the order of
// Kinds in impl/coordinator/membership; those of replicas; and those of the
// configuration and of a control plane that begins.
var Steps = []string{
	"ShrinkServing", "ShrinkConfig", "ShrinkMask", "Mint", "Assign", "GrowMask", "GrowConfig", "CatchUpOn", "EnterSync", "GrowServe",
	"CloseKernel", "TakeEpoch", "Fence", "Collect", "Install", "CutMembers", "OpenMembers", "OpenKernel", "Confirm", "Expel", "Replace", "LeastSize",
	"Assigned", "Fenced", "Opened", "CaughtUp", "Expelled",
	Configure, Begin,
}

const (
	// Configure is a configuration that was made, whoever made it: it is told by the
	// store that keeps it, in the order in which it was changed.
	Configure = "Configure"
	// Begin is told by a control plane first: what its data plane knows, which may be
	// that of a predecessor.
	Begin = "Begin"
)
