// SPDX-License-Identifier: Apache-2.0

// Package cluster runs a whole shard on this machine: a rack of network
// namespaces (package fabric), and in them the coordinator and the replicas as
// processes of their own, started from the dalio command.
//
// What it starts ends with it: by Close, by the end of the context it was given,
// and by the death of this process, however it dies.
package cluster
