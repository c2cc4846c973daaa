// SPDX-License-Identifier: Apache-2.0

// Package bench measures what a coordinator costs, alone: all that surrounds
// it, clients and replicas, is one XDP program at the other end of its link,
// which turns each right answer into the next request. So the load is the same
// for all, needs no process, and is far cheaper than what it measures.
//
// The coordinator has one processor and the surroundings another. Threaded NAPI
// has a kernel thread of its own receive for each device, so that the
// coordinator's share of interrupt work can be read: its processor time is that
// of the thread that receives for its device and, if it is a process, that of
// the process. It is divided by the operations that the surroundings counted as
// complete and right; they count none whose answer is late, damaged, another's,
// or older than what was committed before the request.
//
// All get the same load: as many clients, each with one request open, as keep some
// 192 frames on their way. Fewer would be one batch for the coordinator's thread,
// which then sleeps while the surroundings work: a third of what is measured would
// be wake-ups, which on a virtual machine cost more than a batch of reads.
//
// What is measured beside Dalio: "limit", an XDP program that touches and sends the
// same packets and knows nothing; "tc", the same one layer up, at TC ingress, which
// multicasts by bpf_clone_redirect, as there is no broadcast; "c", "c_gso", "go_batch"
// and "go", the same coordination in user space; and "echo", which bounds those. Keys
// of ratios are a workload's name and what is compared: "read.vs_tc" is the processor
// time of "tc" for a read over Dalio's, and "read.vs_tc_ops" operations a second,
// Dalio's over those of "tc". An XDP program that lets every frame pass is at the
// device of all that is not in XDP, as the thread that receives needs one there.
//
// Dalio has frames fetched ahead from the ring of its device, as on every veth (package
// prefetch), and "limit" has not: it is what XDP does by itself, and Dalio may cost less.
// "limit+prefetch" is the same program with frames fetched ahead, a bound that Dalio can't
// pass, and "dalio-prefetch" is Dalio without: "read.of_limit+prefetch" and
// "read.vs_dalio-prefetch" compare with them.
//
// "dalio+events" is Dalio, with its lease as always, that tells of each message that it
// handles, as for traces. Millions of events a second can be told and not be read, so a
// process empties the ring without a look at it: what is measured is what it costs the
// coordinator to tell. No more than one in a hundred may find the ring full.
//
// For reads alone there are two more, which know nothing of the protocol: "nginx", its
// stream module, one process as "c" is, and "nftables", address translation by the kernel's
// packet filter. They send a client's request to a replica as it is and the answer back,
// and the replicas answer that request as a coordinator would have made them: nothing is
// written, no value is held back, and so the reads are not linearizable. It is less than
// the others do. Both bind a client, an address and port, to a replica when they first hear
// from it, and keep to that; what is measured is reads of clients that are bound. To bind a
// client anew for each read would balance better and cost more: with nginx a socket, and
// the packet filter has no way to. The kernel's flow tables (NF_FLOW_TABLE), by which known
// flows would pass most of the packet filter by, are not used: kernels such as the one that
// this was written on have none. Answers are judged as those of others are, but for versions.
//
// Unloaded latency ("read.latency.of_limit", Dalio's median over the stateless XDP
// program's; "read.latency.vs_c", that of "c" over Dalio's; "write3.latency.…") is of one
// client with one request open. The program that plays the client notes the clock when
// the request leaves and when its answer comes, and keeps a histogram, so that no process
// is in what is timed but the contender's. Each thread sleeps until the next frame comes,
// and is woken by it: that is most of a latency, two wake-ups on the coordinator's side and
// two on the other, and for a coordinator in user space one more for each frame. Both
// processors are kept from falling idle, as with idle=poll on hosts where latency matters:
// on a virtual machine each waking of one that fell idle takes tens of microseconds of the
// hypervisor's, the same for all, under which the differences would be lost.
//
// What the figures don't say: the link is a veth pair in native mode, no network
// card; replicas cost nothing and never lag, so the gate is looked up for each
// read but hardly ever closes; and the surroundings are saturated before a
// coordinator in XDP is, so that ratios of rates understate what those of
// processor time show. A coordinator in user space gets datagrams without UDP
// checksums, which spares it to verify them.
package bench

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -tags linux -target bpfel surroundings surroundings.bpf.c -- -O2 -g -Wall -Wextra -Werror -mcpu=v3 -I../../bpf -idirafter /usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -tags linux -target bpfel limit limit.bpf.c -- -O2 -g -Wall -Wextra -Werror -mcpu=v3 -I../../bpf -idirafter /usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -tags linux -target bpfel tc tc.bpf.c -- -O2 -g -Wall -Wextra -Werror -mcpu=v3 -I../../bpf -idirafter /usr/include/x86_64-linux-gnu
