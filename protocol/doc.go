// SPDX-License-Identifier: Apache-2.0

// Package protocol is the reference model of Dalio: the protocol of one shard
// as plain functions over values, and the wire codec.
//
// It imports nothing outside the standard library and uses no clock,
// randomness, goroutine or I/O, so that the same input always gives the same
// output. The model is total: for every state and every frame it says the next
// state, the output and, where the frame is dropped, the reason.
//
// Its actions carry the names of the actions in spec/Dalio.tla. The coordinator
// exists once more as bytecode (package dalio/bpf), which is compared with
// [Coordinator] frame by frame; the replica and the client library run the
// [Replica] and [Session] of this package as they are.
package protocol
