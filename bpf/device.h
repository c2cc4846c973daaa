/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Which device a frame came in by and leaves by, when there are several.
 *
 * A replica's device is the control plane's to say. A client is answered by the
 * device that its request came in by: the request's hardware address, which is
 * the answer's destination, means something there and nowhere else. A look at the
 * kernel's routes would cost more than to remember it, and could lead elsewhere.
 */
#ifndef DALIO_DEVICE_H
#define DALIO_DEVICE_H

#include "event.h"

/* Finds out by which device the frame came. Returns 0 if it is none of ours. */
static __always_inline int find_ingress(struct packet *p)
{
	__u32 ifindex = p->ctx->ingress_ifindex, *number;

	if (!SEVERAL_DEVICES)
		return 1;
	number = bpf_map_lookup_elem(&device_numbers, &ifindex);
	if (!number)
		return 0;
	p->ingress = *number;
	return 1;
}

/* Says whether a frame for one receiver leaves by the device it came in by. */
static __always_inline int stays(const struct packet *p)
{
	return !SEVERAL_DEVICES || p->egress == p->ingress;
}

static __always_inline struct station station_of(struct endpoint e)
{
	struct station s = { .ip = e.ip, .mac = { e.port_and_mac >> 16, e.port_and_mac >> 32, e.port_and_mac >> 48 } };

	return s;
}

/* Remembers by which device the sender is reached, for an answer in another frame. */
static __always_inline void learn(struct packet *p, struct endpoint from)
{
	struct station s;
	__u32 *known;

	if (!SEVERAL_DEVICES)
		return;
	s = station_of(from);
	known = bpf_map_lookup_elem(&stations, &s);
	if (known && *known == p->ingress)
		return;
	count(p, ACTIVITY_LEARNED);
	bpf_map_update_elem(&stations, &s, &p->ingress, BPF_ANY);
}

/* Finds the device by which a client is reached. Returns 0 if it is not known. */
static __always_inline int locate(struct packet *p, struct endpoint client, __u32 *device)
{
	struct station s;
	__u32 *known;

	*device = 0;
	if (!SEVERAL_DEVICES)
		return 1;
	s = station_of(client);
	known = bpf_map_lookup_elem(&stations, &s);
	if (!known) {
		count(p, ACTIVITY_STRANDED);
		return 0;
	}
	*device = *known;
	return 1;
}

#endif
