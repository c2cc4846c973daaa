//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* An XDP program that fetches ahead, and then hands the frame to the one that handles it. */
#include "prefetch.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} handler SEC(".maps");

SEC("xdp")
int prefetch(struct xdp_md *ctx)
{
	fetch_ahead(ctx);
	bpf_tail_call(ctx, &handler, 0);
	/* There is no handler. */
	return XDP_ABORTED;
}
