// SPDX-License-Identifier: Apache-2.0

// Package fabric builds a laboratory on one machine: a rack is a bridge in a
// network namespace, and one more namespace for each node, joined to the
// bridge by a veth pair. Its links lose, duplicate, delay and reorder frames
// when told to, in each direction on its own, by a seeded sequence that a test
// can replay. A rack for measurements can be switched: frames go from link to link by an
// XDP program, past the bridge and without faults, because a bridge is work that no host
// has where there is a switch between machines.
//
// The kernel owns the rack through the process: namespaces live in file
// descriptors, and their names in /run/netns are symbolic links to those. When
// the process ends, however it ends, the kernel takes down namespaces, links
// and programs. Only dangling names remain, which the next New, or Clean,
// removes.
package fabric

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -tags linux -target bpfel -type settings -type tally -type hold judge judge.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu
