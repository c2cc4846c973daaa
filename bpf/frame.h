/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Rewriting a frame in place: addresses, lengths, checksum, and each answer. */
#ifndef DALIO_FRAME_H
#define DALIO_FRAME_H

#include "device.h"

#define OUTGOING_TTL 64

/* The checksum of an IPv4 header without options, were its own field 0. */
static __always_inline __u16 ip_checksum(void *data, __be32 from, __be32 to)
{
	/* From the version to the fragmentation. */
	__u64 first = WORD_AT(__u64, data, IP_OFFSET), sum = (first & 0xFFFFFFFF) + (first >> 32);

	sum += bpf_htons(OUTGOING_TTL << 8 | IPPROTO_UDP);
	sum += from;
	sum += to;
	sum = (sum >> 32) + (sum & 0xFFFFFFFF);
	sum = (sum >> 16) + (sum & 0xFFFF);
	sum = (sum >> 16) + (sum & 0xFFFF);
	return ~sum;
}

/* Writes the lengths of a datagram whose message is followed by so many bytes. */
static __always_inline void put_lengths(void *data, __u32 payload)
{
	WORD_AT(__be16, data, IP_OFFSET + 2) = bpf_htons(FIXED_SIZE - IP_OFFSET + payload);
	WORD_AT(__be16, data, UDP_OFFSET + 4) = bpf_htons(FIXED_SIZE - UDP_OFFSET + payload);
}

/*
 * Addresses the frame, which has its length, from the coordinator to one receiver,
 * which is reached by the device. IPv4 allows the UDP checksum to be left out, and a
 * message has a digest of its own.
 */
static __always_inline void readdress(void *data, struct endpoint to, __u32 device)
{
	__u64 own = SEVERAL_DEVICES ? WORD_AT(const volatile __u64, devices[device % MAX_DEVICES].mac, 0) << 16
				    : WORD_AT(const volatile __u64, &coordinator_address.port, 0);
	__be32 from = coordinator_address.ip;

	/* The destination's hardware address, whose end shares a word with the source's. */
	WORD_AT(__u32, data, 0) = to.port_and_mac >> 16;
	WORD_AT(__u64, data, 4) = (own & ~0xFFFFULL) | to.port_and_mac >> 48;
	WORD_AT(__be16, data, IP_OFFSET + 10) = ip_checksum(data, from, to.ip);
	WORD_AT(__u8, data, IP_OFFSET + 8) = OUTGOING_TTL;
	WORD_AT(__be32, data, IP_OFFSET + 12) = from;
	WORD_AT(__be32, data, IP_OFFSET + 16) = to.ip;
	/* Source and destination. */
	WORD_AT(__u32, data, UDP_OFFSET) = (__u32)to.port_and_mac << 16 | coordinator_address.port;
	WORD_AT(__be16, data, UDP_OFFSET + 6) = 0;
}

/*
 * Addresses the frame to a receiver that is reached by the device, and cuts what
 * follows the first payload bytes of key and value. Comes last in a handler:
 * after a cut the packet's pointers are void.
 */
static __always_inline enum drop_reason transmit(struct packet *p, struct endpoint to,
						 __u32 device, __u32 payload)
{
	int surplus = p->key_len + p->value_len - payload;

	if (SEVERAL_DEVICES)
		p->egress = device;
	if (surplus)
		put_lengths(p->data, payload);
	readdress(p->data, to, device);
	if (surplus && bpf_xdp_adjust_tail(p->ctx, -surplus))
		return REASON_INTERNAL;
	return REASON_NONE;
}

/* What goes into messages to replicas, which copy it into their answers. */
static __always_inline __be64 stamp(void)
{
	return lease ? bpf_cpu_to_be64(latest()) : 0;
}

/*
 * Puts the epoch into a client's message, before it goes on to replicas or back. What
 * a replica sends is admitted only if it has it.
 */
static __always_inline void put_epoch(struct packet *p)
{
	p->message->epoch = bpf_htonl(p->view->epoch);
}

/* What all responses to clients have in common. */
static __always_inline void respond(struct packet *p, enum message_type type, enum status status)
{
	struct message *m = p->message;

	m->type = type;
	m->status = status;
	put_address(&m->client, (struct endpoint){});
	m->sent = 0;
}

/* Answers a write, with a version of the epoch if the status is OK. */
static __always_inline enum drop_reason answer_write_of(struct packet *p, struct endpoint to,
							__u32 device, enum status status, __u32 epoch, __u64 seq)
{
	struct message *m = p->message;

	respond(p, MESSAGE_WRITE_RESPONSE, status);
	m->replica = 0;
	m->version_epoch = status == STATUS_OK ? bpf_htonl(epoch) : 0;
	m->writer = status == STATUS_OK ? m->session : 0;
	m->seq = bpf_cpu_to_be64(seq);
	m->key_len = 0;
	m->value_len = 0;
	return transmit(p, to, device, 0);
}

static __always_inline enum drop_reason answer_write(struct packet *p, struct endpoint to,
						     __u32 device, enum status status, __u64 seq)
{
	return answer_write_of(p, to, device, status, p->view->epoch, seq);
}

/* Sends the read to the replica with the index. Its value, if any, is cut. */
static __always_inline enum drop_reason forward_read(struct packet *p, __u32 index)
{
	const struct member *to = &p->view->known[index % MAX_MEMBERS];
	struct message *m = p->message;

	p->counters->reads[index % MAX_MEMBERS]++;
	m->type = MESSAGE_READ;
	m->op = OP_NONE;
	m->status = STATUS_NONE;
	m->replica = bpf_htonl(to->id);
	m->version_epoch = 0;
	m->digest = 0;
	m->seq = 0;
	m->writer = 0;
	m->value_len = 0;
	m->sent = stamp();
	return transmit(p, endpoint_of(&to->address), p->view->device[index % MAX_MEMBERS], p->key_len);
}

#endif
