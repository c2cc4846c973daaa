// SPDX-License-Identifier: Apache-2.0

// Package dalio takes the steps of spec/Dalio.tla with the Go model: its
// coordinator, replicas and sessions of package protocol.
//
// A state of the specification is made one of the Go model (world), the step is
// taken by the code, and what the code has made of it is told in the terms of the
// specification again. Nothing that the code goes by may get lost on the way: what
// was told is made a state of the Go model once more, and must be the one that the
// code has left.
//
// What the specification leaves open is chosen in every way (choice): the slot that
// an open's nonce begins to look at, whether an entry has been idle for long enough,
// the attempt of a read, the order of the replicas.
//
// Left out, because no rule reads it or because it says what other parts say:
//
//   - of messages: the times sent, attempts, and the sessions of reads; of an
//     acknowledgement, the operation, hash and digest of its write; of responses, the
//     epoch, version and writer, and of a read's the key and whether an absent value
//     was never written or deleted;
//   - of entries: when they were last used; the operation and digest of an owner
//     that has not written (here they are those of another write, to do harm); the
//     version recovered, which is none in the first epoch;
//   - of replicas: floors and session records, which spec/Shard.tla has; a record's
//     request, which only they read;
//   - numbers: sequence numbers are the last ones that there are, so that the end of
//     the numbers is that of the code; the hops of a read that may hop again are
//     counted from the end too.
package dalio
