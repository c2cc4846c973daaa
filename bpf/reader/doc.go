// SPDX-License-Identifier: Apache-2.0

// Package reader is the read path of a replica in the kernel: an XDP program on the
// replica's device that answers Read messages from a table which the replica's
// process keeps, and leaves everything else to the process.
//
// An answer is what [protocol.Replica.HandleRead] would have said at some moment
// while the program ran. spec/ReadPath.tla shows that of the steps below, and the
// tests compare the program with package protocol, byte for byte.
//
//   - The table is memory that both sides have mapped, so a change costs no system
//     call. A cell has a sequence number, odd while it is written; the program takes a
//     copy, and believes it if the number was even and is the same after as before.
//   - Only values are in the table. Of a key that is not there, was deleted, is too
//     long, or is being written, the process answers: there is no wrong "absent".
//   - What the replica is a member of is one word, looked at before and after. It is
//     emptied before a fence is acknowledged, and an answer on its way then is one
//     that was given before.
//   - Each cell names the membership that its record came under, so a new membership
//     begins with an empty table.
//   - The process holds the program. It ends with it, and a successor waits for that
//     before it does anything.
//
// The table never grows: it has sets of eight cells, 48 bytes and the room for key
// and value each, and 64 bytes a set. In a full set a key that is read takes the
// place of one that was not lately.
package reader
