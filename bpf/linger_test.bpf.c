//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * A program for tests that takes long, as one may that was interrupted or has to
 * wait for a lock: what waits for programs must wait for it, too.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define LINGER_NS 200000000ULL
/* The kernel's bound for bpf_loop; each round asks for the time. */
#define MAX_LOOPS (1 << 23)

__u32 begun;
__u32 ended;

static long is_over(__u32 round, void *until)
{
	return bpf_ktime_get_ns() > *(__u64 *)until;
}

SEC("xdp")
int linger(struct xdp_md *ctx)
{
	__u64 until = bpf_ktime_get_ns() + LINGER_NS;

	begun = 1;
	bpf_loop(MAX_LOOPS, is_over, &until, 0);
	ended = 1;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
