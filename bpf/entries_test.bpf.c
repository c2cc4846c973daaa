//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Entries for tests, around the code that is shipped: the clone program as a
 * plain XDP program, since BPF_PROG_TEST_RUN refuses those of a device map, and
 * what measures a handler when the kernel repeats it on one frame.
 */
#include "coordinator.bpf.c"

/* Nothing of this is in the shipped object. */
SEC("xdp")
int clone_entry(struct xdp_md *ctx)
{
	return address_clone(ctx, egress_ifindex);
}

/* As if the copy left by a device that is not the group's. */
SEC("xdp")
int clone_astray(struct xdp_md *ctx)
{
	return address_clone(ctx, egress_ifindex + 1);
}

/* What a measured handler finds at each run, since it changes it. */
struct template {
	__u64 message[sizeof(struct message) / 8];
	__u32 ip[5];
	__u32 udp[2];
	__u16 eth[7];
	/* Added to the request id at each run, to make each request a new one. */
	__u16 step;
	/* The session's slot, and its word before each run. */
	__u32 slot;
	__u64 word;
};

struct template template;

/*
 * Puts the frame and the session back. Each part is stored in the width in which
 * it is read, so that no load waits for several stores to reach the cache.
 */
static __always_inline int prepare(struct xdp_md *ctx)
{
	void *data, *end;
	struct session_entry *e;
	struct message *m;
	__u32 slot = template.slot;
	__u16 *eth;
	__u32 *ip, *udp;
	__u64 *words;

	if (bpf_xdp_adjust_meta(ctx, ctx->data - ctx->data_meta))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	e = bpf_map_lookup_elem(&sessions, &slot);
	if (!e || data + HEADERS_SIZE + sizeof(*m) > end)
		return XDP_ABORTED;
	eth = data;
	ip = data + sizeof(struct ethhdr);
	udp = data + sizeof(struct ethhdr) + sizeof(struct iphdr);
	words = data + HEADERS_SIZE;
	for (int i = 0; i < 7; i++)
		eth[i] = template.eth[i];
	for (int i = 0; i < 5; i++)
		ip[i] = template.ip[i];
	for (int i = 0; i < 2; i++)
		udp[i] = template.udp[i];
	for (int i = 0; i < (int)(sizeof(*m) / 8); i++)
		words[i] = template.message[i];
	m = (void *)words;
	m->request = bpf_cpu_to_be64(bpf_be64_to_cpu(m->request) + template.step);
	template.message[5] = m->request;
	WRITE_ONCE(e->word, template.word ? template.word : e->word | ACKS_COMMITTED);
	return XDP_PASS;
}

/* Also puts in front of the frame what a copy of a multicast comes with. */
__u32 copies;

static __always_inline int prepare_copy(struct xdp_md *ctx)
{
	struct multicast *meta;

	if (prepare(ctx) != XDP_PASS)
		return XDP_ABORTED;
	meta = put_metadata(ctx);
	if (!meta)
		return XDP_ABORTED;
	/* To three members, which need a nonce each three runs. */
	*meta = (struct multicast){ .nonce = 1 + copies++ / 3, .targets = 7 };
	return XDP_PASS;
}

SEC("xdp")
int empty(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int prepare_only(struct xdp_md *ctx)
{
	return prepare(ctx);
}

SEC("xdp")
int prepare_and_coordinate(struct xdp_md *ctx)
{
	if (prepare(ctx) != XDP_PASS)
		return XDP_ABORTED;
	return coordinate(ctx);
}

SEC("xdp")
int prepare_copy_only(struct xdp_md *ctx)
{
	return prepare_copy(ctx);
}

SEC("xdp")
int prepare_copy_and_clone(struct xdp_md *ctx)
{
	if (prepare_copy(ctx) != XDP_PASS)
		return XDP_ABORTED;
	return address_clone(ctx, egress_ifindex);
}
