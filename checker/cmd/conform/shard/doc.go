// SPDX-License-Identifier: Apache-2.0

// Package shard takes the steps of spec/Shard.tla with the code: those of the data
// plane and the replicas with package protocol, those of the control plane with the
// manager and the executor of impl/coordinator/membership. Package dalio says how.
//
// What a control plane happens to know and want is chosen in every way (sight): which
// of the configurations it has read, whom it suspects, whether the replicas have told
// what they are, whether it wants the epoch, how much time has passed.
//
// The reductions are those of ShardState.tla: an answer reaches its client at once,
// acknowledgements are counted when the last one that is needed is there, and a read
// has one reply on its way. Left out besides:
//
//   - of entries and session records, the payload, which is that of the request in
//     the network, and the version of what was recovered;
//   - partial acknowledging sets, clocks, nonces and addresses;
//   - the floor that a replica gets when it joins, the start of the epoch: it says
//     no more than none;
//   - the closing of a data plane that was replaced: the specification lets it go
//     on, or do nothing any more;
//   - steps that nothing depends on here: Confirm, CatchUpOn, LeastSize, Expel, Replace;
//   - a joiner that is forgotten because it says nothing: CrashControl does the same.
//
// A step that reaches several members, such as Install, is taken for each of them
// alone: it may come to an end anywhere. A suspicion is not taken back.
package shard
