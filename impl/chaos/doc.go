// SPDX-License-Identifier: Apache-2.0

// Package chaos breaks a running shard in every way that it must survive, for
// as long as it is told to, while clients use it, and has what they saw audited.
//
// A plan, drawn from a seed, says which fault comes when: round after round of
// all faults in random order, so that each is met about as often as any other.
// What really happens between faults is up to the machine; the seed repeats the
// plan, not the interleaving. A violation therefore keeps everything that tells
// of it: the history, the log of faults and the logs of all processes.
package chaos
