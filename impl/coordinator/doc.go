// SPDX-License-Identifier: Apache-2.0

// Package coordinator is the control plane of a shard's coordinator. It loads
// the data plane, tells it who the replicas are and by which device each of them
// is reached, keeps its clock and reports on it; no request of a client passes
// through it.
//
// A Driven is the control plane of a simulation: the same, without goroutines,
// connections and clocks of its own.
//
// With a Shared configuration, it also sees to the shard's members: it watches the
// replicas, takes out who fails, joins who comes back, and takes over from a
// coordinator that falls silent. Which step comes next is named by package
// membership; here it is taken. See docs/failures.md.
package coordinator
