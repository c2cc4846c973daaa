//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The bound of what XDP can do as a coordinator: a forwarder without state. */
#include "forward.h"

char LICENSE[] SEC("license") = "GPL";

/* As many entries as replicas, all for one device. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, MAX_MEMBERS);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} group SEC(".maps");

/* Which replica the next copy goes to; one thread sends them all. */
__u32 turn;

SEC("xdp")
int forward(struct xdp_md *ctx)
{
	switch (decide((void *)(long)ctx->data, (void *)(long)ctx->data_end)) {
	case DECIDE_LEAVE:
		return XDP_PASS;
	case DECIDE_SEND:
		return XDP_TX;
	case DECIDE_MULTICAST:
		return bpf_redirect_map(&group, 0, BPF_F_BROADCAST);
	case DECIDE_DROP:
		break;
	}
	return XDP_DROP;
}

SEC("xdp/devmap")
int copy(struct xdp_md *ctx)
{
	struct headers *h = (void *)(long)ctx->data;
	struct message *m = (void *)(h + 1);
	const volatile struct peer *to = &replicas[turn % MAX_MEMBERS];

	if ((void *)(m + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	turn = turn + 1 < replica_count ? turn + 1 : 0;
	address_copy(h, m, to);
	return XDP_PASS;
}
