// SPDX-License-Identifier: Apache-2.0

// Package recovery measures how quickly a shard on this machine recovers while
// clients use it, and whether that is quick enough.
//
// All times are what clients saw: a [Timeline] has every operation with its begin
// and its end, and what is measured is computed from that after the fact. A sample
// begins just before the first step of a failure, and ends when the first of those
// operations has ended OK that were begun after its last step: such an operation
// can owe nothing to what is gone. Neither the control plane's own account nor a
// poll of it is part of a sample, but for the time until the shard is whole again.
//
// The shard is made of processes and links like any other, with the timeouts that
// are the defaults. Each part has a shard, a history and a number of samples of its
// own, and says what it found out with its targets; whoever runs it has the history
// audited.
package recovery
