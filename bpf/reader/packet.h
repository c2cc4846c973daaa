/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* From a frame to a Read message, and from a record to its answer. */
#ifndef DALIO_READER_PACKET_H
#define DALIO_READER_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include "state.h"

#define HEADERS_SIZE (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define MESSAGE_END (HEADERS_SIZE + sizeof(struct message))
#define FRAGMENT_MASK 0x3FFF
#define VERSION_4_NO_OPTIONS 0x45
#define OUTGOING_TTL 64
#define FIRST_MULTICAST 224
#define LOOPBACK 127
/* What parse returns for a frame that is not the replica's. */
#define NOT_OURS (-1)

struct packet {
	struct xdp_md *ctx;
	struct ethhdr *eth;
	struct iphdr *ip;
	struct udphdr *udp;
	struct message *message;
	void *end;
	__u32 key_len;
};

/* The sum of the header's words, to which the checksum adds what is missing to 0xFFFF. */
static __always_inline __u16 header_sum(const struct iphdr *ip)
{
	const __u32 *word = (const __u32 *)ip;
	__u64 sum = (__u64)word[0] + word[1] + word[2] + word[3] + word[4];

	sum = (sum >> 32) + (sum & 0xFFFFFFFF);
	sum = (sum >> 16) + (sum & 0xFFFF);
	sum = (sum >> 16) + (sum & 0xFFFF);
	return (sum >> 16) + (sum & 0xFFFF);
}

/* Says whether the host's own stack would take the frame, and send an answer to its sender. */
static __always_inline int is_usual(const struct packet *p)
{
	const __be16 *to = (const __be16 *)p->eth->h_dest;
	__u8 first = bpf_ntohl(p->ip->saddr) >> 24;

	return to[0] == replica_mac[0] && to[1] == replica_mac[1] && to[2] == replica_mac[2] && header_sum(p->ip) == 0xFFFF && !p->udp->check &&
	       first && first != LOOPBACK && first < FIRST_MULTICAST &&
	       p->ip->saddr != replica_ip && p->udp->source;
}

/* Fills in *p. Returns NOT_OURS, or why the frame is left to the process, or PASSED_NONE. */
static __always_inline int parse(struct xdp_md *ctx, struct packet *p)
{
	void *data = (void *)(long)ctx->data;
	__u32 ip_len;

	p->ctx = ctx;
	p->end = (void *)(long)ctx->data_end;
	if (data + MESSAGE_END > p->end)
		return NOT_OURS;
	p->eth = data;
	p->ip = data + sizeof(struct ethhdr);
	p->udp = (void *)p->ip + sizeof(struct iphdr);
	p->message = data + HEADERS_SIZE;
	if (p->eth->h_proto != bpf_htons(ETH_P_IP) || p->ip->protocol != IPPROTO_UDP ||
	    p->ip->daddr != replica_ip || p->udp->dest != replica_port)
		return NOT_OURS;

	ip_len = bpf_ntohs(p->ip->tot_len);
	p->key_len = bpf_ntohs(p->message->key_len);
	if (*(__u8 *)p->ip != VERSION_4_NO_OPTIONS || p->ip->frag_off & bpf_htons(FRAGMENT_MASK) ||
	    p->message->magic != bpf_htons(MESSAGE_MAGIC) || p->message->version != MESSAGE_VERSION ||
	    sizeof(struct ethhdr) + ip_len != p->end - data ||
	    bpf_ntohs(p->udp->len) != ip_len - sizeof(struct iphdr) || !is_usual(p))
		return PASSED_UNUSUAL;
	if (p->message->type != MESSAGE_READ)
		return PASSED_TYPE;
	if (p->message->value_len || !p->key_len || p->key_len > MAX_KEY_SIZE ||
	    MESSAGE_END + p->key_len != p->end - data)
		return PASSED_UNUSUAL;
	return PASSED_NONE;
}

/*
 * Makes the frame longer by the value, at whichever end there is room: drivers of
 * network cards have it behind the frame, veth before it. Then the headers are
 * moved to the new start. Returns 0, with the frame as it was, if there is none.
 */
static __always_inline int make_room(struct packet *p, __u32 value_len)
{
	void *data, *moved;

	/* The verifier is to see this bound, which the compiler knows. */
	asm volatile("" : "+r"(value_len));
	if (value_len > MAX_ROOM)
		return 0;
	if (!value_len)
		return 1;
	if (bpf_xdp_adjust_head(p->ctx, -(int)value_len))
		return !bpf_xdp_adjust_tail(p->ctx, value_len);
	data = (void *)(long)p->ctx->data;
	moved = data + value_len;
	if (data + MESSAGE_END > (void *)(long)p->ctx->data_end ||
	    moved + MESSAGE_END > (void *)(long)p->ctx->data_end)
		return 0;
	/* Upwards, since the two may overlap. */
	for (__u32 i = 0; i < MESSAGE_END / 8; i++)
		WRITE_ONCE(((__u64 *)data)[i], READ_ONCE(((__u64 *)moved)[i]));
	WRITE_ONCE(*(__u16 *)(data + MESSAGE_END / 8 * 8), READ_ONCE(*(__u16 *)(moved + MESSAGE_END / 8 * 8)));
	return 1;
}

/*
 * Sends the frame back to where it came from, with an answer of that many bytes
 * behind the message's header.
 */
static __always_inline void turn_round(struct ethhdr *eth, struct iphdr *ip, struct udphdr *udp, __u32 payload)
{
	__be16 *dest = (__be16 *)eth->h_dest, *source = (__be16 *)eth->h_source, port = udp->source;
	__be32 from = ip->saddr;

	for (int i = 0; i < 3; i++) {
		dest[i] = source[i];
		source[i] = replica_mac[i];
	}
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*udp) + sizeof(struct message) + payload);
	ip->ttl = OUTGOING_TTL;
	ip->check = 0;
	ip->saddr = replica_ip;
	ip->daddr = from;
	ip->check = ~header_sum(ip);
	udp->source = replica_port;
	udp->dest = port;
	udp->len = bpf_htons(sizeof(*udp) + sizeof(struct message) + payload);
	udp->check = 0;
}

#endif
