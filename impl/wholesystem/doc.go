// SPDX-License-Identifier: Apache-2.0

// Package wholesystem measures what a coordinator is worth to a whole shard: real
// replicas, each a process that answers reads in the kernel, and real clients, at
// saturation, with one coordinator after the other in the same place. The coordinators
// are Dalio's, the one over recvmmsg and sendmmsg in C (impl/bench/c), and the stateless
// XDP forwarder (impl/bench/limit.bpf.c), which no coordinator can be better than. What
// is compared are operations a second, in the mixes A, B and C of YCSB: half, 5 % and
// none of the operations writes, keys by Zipf 0.99.
//
// There is D too, if asked for: 5 % of the operations insert keys, and the others read those
// that came last, by the same law. Each sample inserts under names of its own, so that a
// contender never meets what another has inserted, a sixtieth of the keys that were filled
// at most; then it writes those again, in turn. So the replicas hold a little more from
// sample to sample, whoever takes it, and their read paths have room for all of that. Only
// what was acknowledged is read, and must be found. The forwarder says that a key is inserted
// when one replica has it, and may not find it at another: such reads count as operations of
// its, and are reported.
//
// The replicas are started and filled once, and each contender coordinates them in an
// epoch of its own: the one before it is ended, the replicas are fenced and opened for
// the next epoch, as when a coordinator takes over from another, and new clients come.
// So all contenders have the same replicas with the same keys, and take turns within a
// round, so that what the machine does meanwhile meets all of them.
//
// Frames go from node to node by an XDP program in place of a bridge, since what is
// between machines costs them nothing, and a bridge on this machine costs more than a
// coordinator in XDP. Processes send what has one size and one receiver in one piece,
// which the kernel cuts into datagrams (package datagram); the coordinator in C does not,
// as it is quicker without where replicas answer reads in the kernel.
//
// A client is a lane of the client's protocol ([dalio/protocol.Session]), which opens
// sessions, asks again what is overdue and checks what is answered, with one operation
// open at a time. The lanes of a socket are driven by one goroutine: a goroutine for
// each, as in package client, would cost as much as all that the coordinator in C does,
// and what is compared would be how clients are scheduled.
//
// That the contenders do their work is checked. In each sample every read must find its
// key, but for what is said of the forwarder, and every operation must end well. And of each contender but the forwarder a
// short history is recorded, by the same clients, on keys of its own, for the caller to
// judge: it must be linearizable. The forwarder is not judged: it answers a write when
// one replica has it, forgets it at once, and releases whatever a replica says. It does
// the same work at the replicas, which apply only what is newer than what they hold: it
// numbers the writes, with one counter, which is the only state it has.
//
// What the figures don't say: all of it shares the processors of one machine, with the
// clients, so that what replicas, clients and the virtual network between them cost is
// in both sides of each ratio, and draws it towards one.
package wholesystem
