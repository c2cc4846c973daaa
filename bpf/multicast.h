/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Multicast: the coordinator program broadcasts one frame to the device map that
 * has an entry for each member, and the clone program addresses each copy as it
 * leaves.
 *
 * The kernel runs the clone program on the processor that broadcast, once for
 * each copy, but tells it neither which entry nor which copy it sees. Metadata in
 * front of the frame, which is cloned with it, carries a nonce of the broadcast
 * and the set of members it is for. A device has one queue on each processor, and
 * as many entries as members that are reached by it, so the copies that leave by
 * one device come in the order of the broadcasts, and those with one nonce take
 * that device's members in turn. A copy that is lost before it gets here makes
 * another member miss the write, which is no worse than a loss on the way.
 *
 * A copy beyond those is not dropped. The kernel hands over what waits for a
 * device in bulks, and wakes the receiver after the last one, but not if the clone
 * program drops all of that: what came before would lie there until the next
 * frame. So it goes to a member that has the write, to which it is a duplicate.
 *
 * Frames for one receiver leave by XDP_TX, which does not pass that queue, unless
 * they must leave by another device than they came in by. Then they wait among
 * the copies, and the clone program sees them too.
 */
#ifndef DALIO_MULTICAST_H
#define DALIO_MULTICAST_H

#include "frame.h"

/* Turns the message into a Write of one version; only the header changes. */
static __always_inline void make_write(struct packet *p, struct endpoint client, __u64 seq)
{
	struct message *m = p->message;

	m->type = MESSAGE_WRITE;
	m->status = STATUS_NONE;
	m->hops = 0;
	m->replica = 0;
	m->version_epoch = bpf_htonl(p->view->epoch);
	m->seq = bpf_cpu_to_be64(seq);
	m->writer = m->session;
	put_address(&m->client, client);
	m->sent = stamp();
}

/* Puts metadata in front of the frame. Voids the packet's pointers. */
static __always_inline struct multicast *put_metadata(struct xdp_md *ctx)
{
	struct multicast *meta;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return NULL;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return NULL;
	return meta;
}

/* Sends the frame to the one target that there is, without a broadcast. */
static __always_inline enum drop_reason send_to_target(struct packet *p)
{
	__u32 index = lowest(p->targets) % MAX_MEMBERS;
	const struct member *to = &p->view->known[index];

	p->targets = 0;
	p->message->replica = bpf_htonl(to->id);
	return transmit(p, endpoint_of(&to->address), p->view->device[index], p->key_len + p->value_len);
}

/* Broadcasts the frame for the targets. */
static __always_inline int broadcast(struct packet *p)
{
	struct multicast_state *state;
	struct multicast *meta;
	__u32 zero = 0;

	state = bpf_map_lookup_elem(&multicasts, &zero);
	if (!state)
		return XDP_ABORTED;
	meta = put_metadata(p->ctx);
	if (!meta)
		return XDP_ABORTED;
	meta->nonce = ++state->last_nonce;
	meta->targets = p->targets;
	meta->unused = 0;
	count(p, ACTIVITY_MULTICASTS);
	return bpf_redirect_map(&group, 0, BPF_F_BROADCAST);
}

/* Sends the frame to its one receiver, by another device than it came in by. */
static __always_inline int send(struct packet *p)
{
	struct multicast *meta = put_metadata(p->ctx);

	if (!meta)
		return XDP_ABORTED;
	meta->nonce = devices[p->egress % MAX_DEVICES].ifindex;
	meta->targets = 0;
	meta->unused = 0;
	count(p, ACTIVITY_REDIRECTED);
	return bpf_redirect_map(&exits, p->egress, XDP_ABORTED);
}

/*
 * Finds the number of a device that frames leave by; that of an only device is 0
 * already. Returns 0 if no frames leave by the device.
 */
static __always_inline int find_egress(__u32 ifindex, __u32 *number)
{
	__u32 *found;

	if (!SEVERAL_DEVICES)
		return ifindex == egress_ifindex;
	found = bpf_map_lookup_elem(&device_numbers, &ifindex);
	if (!found)
		return 0;
	*number = *found;
	return 1;
}

/*
 * Addresses one copy to the member whose turn it is, among those that are reached
 * by the device, and leaves alone what has one receiver.
 */
static __always_inline int address_clone(struct xdp_md *ctx, __u32 ifindex)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct multicast *meta = (void *)(long)ctx->data_meta;
	struct message *message = data + HEADERS_SIZE;
	const struct membership *view;
	struct multicast_state *state;
	const struct member *to;
	struct counters *counted;
	__u16 reached;
	/* Also the only key of the counters. */
	__u32 device = 0;

	counted = bpf_map_lookup_elem(&counters, &device);
	if (!counted)
		return XDP_ABORTED;
	if ((void *)(meta + 1) > data || (void *)(message + 1) > end)
		goto internal;
	if (SEVERAL_DEVICES && !meta->targets) {
		if (meta->nonce == ifindex)
			return XDP_PASS;
		goto internal;
	}
	if (!find_egress(ifindex, &device))
		goto internal;
	state = bpf_map_lookup_elem(&multicasts, &device);
	if (!state)
		goto internal;
	view = &memberships[READ_ONCE(active) & 1];
	reached = SEVERAL_DEVICES ? view->leaving[device % MAX_DEVICES] : view->members;
	if (state->nonce != meta->nonce) {
		state->nonce = meta->nonce;
		state->remaining = meta->targets & reached;
	}
	if (state->remaining) {
		to = &view->known[lowest(state->remaining) % MAX_MEMBERS];
		state->remaining &= state->remaining - 1;
	} else {
		counted->activities[ACTIVITY_SURPLUS]++;
		if (meta->targets & reached)
			reached &= meta->targets;
		if (!reached)
			return XDP_DROP;
		to = &view->known[lowest(reached) % MAX_MEMBERS];
	}
	message->replica = bpf_htonl(to->id);
	readdress(data, endpoint_of(&to->address), device);
	counted->activities[ACTIVITY_CLONES]++;
	return XDP_PASS;
internal:
	counted->drops[REASON_INTERNAL]++;
	return XDP_DROP;
}

#endif
