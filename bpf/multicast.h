/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Multicast: the coordinator program broadcasts one frame to the device map,
 * whose entries all name the same device, and the clone program addresses each
 * copy as it leaves.
 *
 * The kernel runs the clone program on the processor that broadcast, once for
 * each copy, in the order of the broadcasts, but tells it neither which entry
 * nor which copy it sees. Metadata in front of the frame, which is cloned with
 * it, carries a nonce of the broadcast and the set of members it is for; the
 * copies with one nonce take the members in turn. This holds for one device: it
 * has one queue on each processor. All other frames leave by XDP_TX, which does
 * not pass that queue. A copy that is lost before it gets here makes another
 * member miss the write, which is no worse than a loss on the way.
 */
#ifndef DALIO_MULTICAST_H
#define DALIO_MULTICAST_H

#include "frame.h"

/* Turns the message into a Write of one version; only the header changes. */
static __always_inline void make_write(struct packet *p, const struct address *client, __u64 seq)
{
	struct message *m = p->message;

	m->type = MESSAGE_WRITE;
	m->status = STATUS_NONE;
	m->hops = 0;
	m->epoch = bpf_htonl(p->view->epoch);
	m->replica = 0;
	m->version_epoch = bpf_htonl(p->view->epoch);
	m->seq = bpf_cpu_to_be64(seq);
	m->writer = m->session;
	m->client = *client;
	m->tag = 0;
}

/* Broadcasts the frame for the targets. Voids the packet's pointers. */
static __always_inline int broadcast(struct packet *p)
{
	struct multicast_state *state;
	struct multicast *meta;
	__u32 zero = 0;

	state = bpf_map_lookup_elem(&multicasts, &zero);
	if (!state || bpf_xdp_adjust_meta(p->ctx, -(int)sizeof(*meta)))
		return XDP_ABORTED;
	meta = (void *)(long)p->ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)p->ctx->data)
		return XDP_ABORTED;
	meta->nonce = ++state->last_nonce;
	meta->targets = p->targets;
	meta->unused = 0;
	count(p, ACTIVITY_MULTICASTS);
	return bpf_redirect_map(&group, 0, BPF_F_BROADCAST);
}

/*
 * Addresses one copy to the member whose turn it is. The device is compared
 * because copies that leave by two devices would mix up the turns.
 */
static __always_inline int address_clone(struct xdp_md *ctx, __u32 ifindex)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct multicast *meta = (void *)(long)ctx->data_meta;
	struct message *message = data + HEADERS_SIZE;
	const struct member *to;
	struct multicast_state *state;
	struct counters *counted;
	__u32 zero = 0;

	counted = bpf_map_lookup_elem(&counters, &zero);
	state = bpf_map_lookup_elem(&multicasts, &zero);
	if (!counted || !state)
		return XDP_ABORTED;
	if ((void *)(meta + 1) > data || (void *)(message + 1) > end || ifindex != egress_ifindex) {
		counted->drops[REASON_INTERNAL]++;
		return XDP_DROP;
	}
	if (state->nonce != meta->nonce) {
		state->nonce = meta->nonce;
		state->remaining = meta->targets;
	}
	if (!state->remaining) {
		counted->activities[ACTIVITY_SURPLUS]++;
		return XDP_DROP;
	}
	to = &memberships[READ_ONCE(active) & 1].known[lowest(state->remaining) % MAX_MEMBERS];
	state->remaining &= state->remaining - 1;
	message->replica = bpf_htonl(to->id);
	readdress(data, data + sizeof(struct ethhdr),
		  data + sizeof(struct ethhdr) + sizeof(struct iphdr), &to->address,
		  end - (void *)(message + 1));
	counted->activities[ACTIVITY_CLONES]++;
	return XDP_PASS;
}

#endif
