//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The coordinator of a shard, as an XDP program on the device that faces clients
 * and replicas, or on several such devices: it gives writes their versions and
 * multicasts them, collects acknowledgements, forwards reads, and releases no
 * value before its version is committed. Its actions have the names of those in
 * spec/Dalio.tla, and package protocol has the same coordinator in Go, to the
 * byte.
 *
 *   wire.h       the wire format, and the names shared with Go
 *   state.h      configuration, tables and counters
 *   packet.h     from a frame to a packet
 *   event.h      protocol events, in objects that are built to tell them
 *   device.h     the devices it comes in and leaves by
 *   frame.h      rewriting in place, answers
 *   multicast.h  one frame to many replicas
 *   client.h     handlers of what clients send, and the session table
 *   replica.h    handlers of what replicas send, and the gate
 */
#include "replica.h"

char LICENSE[] SEC("license") = "GPL";

/*
 * Returns why the frame is dropped, or NOT_OURS if it is left to the host; else it
 * is ready to leave.
 */
static __always_inline int handle(struct packet *p)
{
	__u64 *actions = p->counters->actions;

	switch (p->type) {
	case MESSAGE_READ_REQUEST:
		actions[ACTION_HANDLE_READ_REQUEST]++;
		return handle_read_request(p);
	case MESSAGE_READ_REPLY:
		actions[ACTION_HANDLE_READ_REPLY]++;
		return handle_read_reply(p);
	case MESSAGE_WRITE_ACK:
		actions[ACTION_HANDLE_WRITE_ACK]++;
		return handle_write_ack(p);
	case MESSAGE_WRITE_REQUEST:
		actions[ACTION_HANDLE_WRITE_REQUEST]++;
		return handle_write_request(p);
	case MESSAGE_OPEN_REQUEST:
		actions[ACTION_HANDLE_OPEN_REQUEST]++;
		return handle_open_request(p);
	case MESSAGE_PROBE:
		return answer_probe(p);
	case MESSAGE_PROBE_REPLY:
		return take_probe_reply(p);
	}
	return REASON_BAD_TYPE;
}

/* One frame, from parsing to the verdict. */
static __always_inline int coordinate(struct xdp_md *ctx)
{
	struct packet p = {};
	__u32 zero = 0;
	int reason;

	p.counters = bpf_map_lookup_elem(&counters, &zero);
	if (!p.counters)
		return XDP_ABORTED;
	reason = parse(ctx, &p);
	if (reason == NOT_OURS) {
		count(&p, ACTIVITY_PASSED);
		return XDP_PASS;
	}
	if (!reason && !find_ingress(&p))
		reason = REASON_INTERNAL;
	if (!reason) {
		p.view = &memberships[READ_ONCE(active) & 1];
		begin_event(&p);
		reason = p.view->epoch ? handle(&p) : REASON_CLOSED;
		end_event(&p, reason);
	}
	if (reason == NOT_OURS)
		return XDP_PASS;
	if (!reason && p.targets && !(p.targets & (p.targets - 1)))
		reason = send_to_target(&p);
	if (!reason) {
		if (!p.targets && stays(&p))
			return XDP_TX;
		if ((p.targets ? broadcast(&p) : send(&p)) == XDP_REDIRECT)
			return XDP_REDIRECT;
		reason = REASON_INTERNAL;
	}
	p.counters->drops[reason % REASON_COUNT]++;
	return XDP_DROP;
}

SEC("xdp")
int coordinator(struct xdp_md *ctx)
{
	return coordinate(ctx);
}

/* Runs once for each copy of a multicast, as the copy leaves the device. */
SEC("xdp/devmap")
int clone(struct xdp_md *ctx)
{
	return address_clone(ctx, ctx->egress_ifindex);
}
