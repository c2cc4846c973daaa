// SPDX-License-Identifier: Apache-2.0

// Package prefetch makes an XDP program on a veth device faster: frames that wait in the
// device's ring are asked for from memory eight at a time, before their turn.
//
// Drivers of network cards do so themselves, and the kernel's cpumap does, for eight frames
// at a time, too. veth's does not: with frames that another processor wrote, and that do
// not lie in memory in the order in which they come, two thirds of what a coordinator's
// processor does is to wait for them, one after the other (docs/performance.md).
//
// It is done by a program of its own, which runs in front of the one that handles frames
// and leads to it by a tail call. It decides nothing and writes nothing: what it loads is
// thrown away. So the program that handles frames is the same, to the byte, with and
// without it, and so is all that is checked of it.
//
// The ring is the kernel's own. Where its parts are is found from the kernel's type
// information when the program is loaded; where that does not tell, or the kernel is older
// than 6.2, it is not loaded, and the other program runs alone.
package prefetch
