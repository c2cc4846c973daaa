// SPDX-License-Identifier: Apache-2.0

// Package latency measures how long operations of a whole shard take at rates that
// clients offer: an open loop, in which an operation is due at a time that doesn't depend
// on those before, and its latency counts from then. What a closed loop leaves out, the
// operations that would have come while one was slow, is in these figures.
//
// The shard has three real replicas that answer reads in the kernel, and clients in Go, as
// many as may be open at a time; all share the machine. First a closed loop of the same
// clients finds how many operations a second the shard does with a mix, and then shares
// of that rate are offered, in rounds, each for a window. Gaps between operations are
// exponential. A latency includes for how long the operation was due when it began: the
// clients' own lateness, which is given beside it.
//
// Mixes are YCSB's A and B: half and 5 % of the operations writes, keys by Zipf 0.99.
package latency
