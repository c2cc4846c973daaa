//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The bound of what XDP can do as a coordinator: a program that touches and
 * sends the same packets and decides nothing. It has no sessions, no versions
 * and no gate. Of the acknowledgements of a write it takes those of the last
 * replica for the answer and drops the others.
 */
#include "frame.h"

char LICENSE[] SEC("license") = "GPL";

const volatile struct peer self;
const volatile struct peer replicas[MAX_MEMBERS];
const volatile __u32 replica_count = 3;
const volatile __u32 epoch = 1;

/* As many entries as replicas, all for one device. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, MAX_MEMBERS);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} group SEC(".maps");

/* Which replica the next copy goes to; one thread sends them all. */
__u32 turn;

static __always_inline int reply(struct headers *h, const volatile struct address *to, __u32 payload)
{
	address_frame(h, &self.address, to, payload);
	return XDP_TX;
}

static __always_inline struct address sender(const struct headers *h)
{
	const __be16 *mac = (const __be16 *)h->eth.h_source;
	struct address from = {
		.ip = h->ip.saddr,
		.port = h->udp.source,
		.mac = { mac[0], mac[1], mac[2] },
	};

	return from;
}

/* Turns what a replica sent into the answer to the client named in it. */
static __always_inline int answer(struct headers *h, struct message *m, enum message_type type)
{
	struct address to = m->client;

	m->type = type;
	m->status = STATUS_OK;
	m->client = (struct address){};
	return reply(h, &to, bpf_ntohs(m->key_len) + bpf_ntohs(m->value_len));
}

SEC("xdp")
int forward(struct xdp_md *ctx)
{
	struct headers *h = (void *)(long)ctx->data;
	struct message *m = (void *)(h + 1);
	const volatile struct peer *to;

	if ((void *)(m + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (h->eth.h_proto != bpf_htons(ETH_P_IP) || *(__u8 *)&h->ip != VERSION_4_NO_OPTIONS ||
	    h->ip.protocol != IPPROTO_UDP || h->ip.daddr != self.address.ip ||
	    h->udp.dest != self.address.port)
		return XDP_PASS;
	switch (m->type) {
	case MESSAGE_READ_REQUEST:
		to = &replicas[bpf_be64_to_cpu(m->request) % replica_count % MAX_MEMBERS];
		m->type = MESSAGE_READ;
		m->epoch = bpf_htonl(epoch);
		m->replica = bpf_htonl(to->id);
		m->client = sender(h);
		return reply(h, &to->address, bpf_ntohs(m->key_len));
	case MESSAGE_READ_REPLY:
		return answer(h, m, MESSAGE_READ_RESPONSE);
	case MESSAGE_WRITE_REQUEST:
		m->type = MESSAGE_WRITE;
		m->epoch = bpf_htonl(epoch);
		m->client = sender(h);
		return bpf_redirect_map(&group, 0, BPF_F_BROADCAST);
	case MESSAGE_WRITE_ACK:
		if (m->replica != bpf_htonl(replicas[(replica_count - 1) % MAX_MEMBERS].id))
			return XDP_DROP;
		return answer(h, m, MESSAGE_WRITE_RESPONSE);
	case MESSAGE_OPEN_REQUEST:
		m->session = m->request;
		m->client = sender(h);
		return answer(h, m, MESSAGE_OPEN_RESPONSE);
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
	m->replica = bpf_htonl(to->id);
	reply(h, &to->address, bpf_ntohs(m->key_len) + bpf_ntohs(m->value_len));
	return XDP_PASS;
}
