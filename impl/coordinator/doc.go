// SPDX-License-Identifier: Apache-2.0

// Package coordinator is the control plane of a shard's coordinator. It loads
// the data plane, tells it who the replicas are and by which device each of them
// is reached, keeps its clock and reports on it; no request of a client passes
// through it.
package coordinator
