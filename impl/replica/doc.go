// SPDX-License-Identifier: Apache-2.0

// Package replica runs a replica of a shard: a UDP server around
// [protocol.Replica], which decides everything that the protocol decides, and a
// store. It speaks with the coordinator only; no replica talks to another.
package replica
