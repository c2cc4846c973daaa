/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Rewriting a frame in place: addresses, lengths, checksum, and each answer. */
#ifndef DALIO_FRAME_H
#define DALIO_FRAME_H

#include "device.h"

#define OUTGOING_TTL 64

/*
 * The checksum of the 20 bytes that the header will hold, from the fields that
 * stay and the values that go into the others. Reading back what was just
 * stored would cost more.
 */
static __always_inline __u16 ip_checksum(const struct iphdr *ip, __be16 tot_len, __be32 to)
{
	__u64 sum = *(const __u16 *)ip;

	sum += tot_len;
	sum += ip->id;
	sum += ip->frag_off;
	sum += bpf_htons(OUTGOING_TTL << 8 | IPPROTO_UDP);
	sum += coordinator_ip;
	sum += to;
	sum = (sum >> 32) + (sum & 0xFFFFFFFF);
	sum = (sum >> 16) + (sum & 0xFFFF);
	sum = (sum >> 16) + (sum & 0xFFFF);
	return ~sum;
}

/*
 * Addresses the frame, whose message is followed by payload bytes of key and
 * value, from the coordinator to one receiver, which is reached by the device.
 * IPv4 allows the UDP checksum to be left out, and a message has a digest of its
 * own.
 */
static __always_inline void readdress(struct ethhdr *eth, struct iphdr *ip, struct udphdr *udp,
				      const struct address *to, __u32 device, __u32 payload)
{
	__be16 tot_len = bpf_htons(sizeof(*ip) + sizeof(*udp) + sizeof(struct message) + payload);
	__be16 *dest = (__be16 *)eth->h_dest, *source = (__be16 *)eth->h_source;

	for (int i = 0; i < 3; i++) {
		dest[i] = to->mac[i];
		source[i] = SEVERAL_DEVICES ? devices[device % MAX_DEVICES].mac[i] : coordinator_mac[i];
	}
	ip->check = ip_checksum(ip, tot_len, to->ip);
	ip->tot_len = tot_len;
	ip->ttl = OUTGOING_TTL;
	ip->saddr = coordinator_ip;
	ip->daddr = to->ip;
	udp->source = coordinator_port;
	udp->dest = to->port;
	udp->len = bpf_htons(sizeof(*udp) + sizeof(struct message) + payload);
	udp->check = 0;
}

/*
 * Addresses the frame to a receiver that is reached by the device, and cuts what
 * follows the first payload bytes of key and value. Comes last in a handler:
 * after a cut the packet's pointers are void.
 */
static __always_inline enum drop_reason transmit(struct packet *p, const struct address *to,
						 __u32 device, __u32 payload)
{
	int surplus = p->key_len + p->value_len - payload;

	readdress(p->eth, p->ip, p->udp, to, device, payload);
	if (SEVERAL_DEVICES)
		p->egress = device;
	if (surplus && bpf_xdp_adjust_tail(p->ctx, -surplus))
		return REASON_INTERNAL;
	return REASON_NONE;
}

/* What goes into messages to replicas, which copy it into their answers. */
static __always_inline __be64 stamp(void)
{
	return lease ? bpf_cpu_to_be64(latest()) : 0;
}

/* What all responses to clients have in common. */
static __always_inline void respond(struct packet *p, enum message_type type, enum status status)
{
	struct message *m = p->message;

	m->type = type;
	m->status = status;
	m->epoch = bpf_htonl(p->view->epoch);
	m->client = (struct address){};
	m->sent = 0;
}

/* Answers a write, with a version of the epoch if the status is OK. */
static __always_inline enum drop_reason answer_write_of(struct packet *p, const struct address *to,
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

static __always_inline enum drop_reason answer_write(struct packet *p, const struct address *to,
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
	m->epoch = bpf_htonl(p->view->epoch);
	m->replica = bpf_htonl(to->id);
	m->version_epoch = 0;
	m->digest = 0;
	m->seq = 0;
	m->writer = 0;
	m->value_len = 0;
	m->sent = stamp();
	return transmit(p, &to->address, p->view->device[index % MAX_MEMBERS], p->key_len);
}

#endif
