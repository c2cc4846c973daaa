/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs of the benchmark have in common: frames and peers. */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "wire.h"

#define VERSION_4_NO_OPTIONS 0x45
#define DONT_FRAGMENT 0x4000
#define FRAME_TTL 64

struct headers {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed, aligned(2)));

#define HEADERS_SIZE sizeof(struct headers)
#define FIXED_SIZE (HEADERS_SIZE + sizeof(struct message))

/* One end of the conversation. id is a replica's id, 0 for all others. */
struct peer {
	struct address address;
	__u32 id;
};

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum >> 16) + (sum & 0xFFFF);
	sum = (sum >> 16) + (sum & 0xFFFF);
	return ~sum;
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

/*
 * Puts all three headers in front of a message with payload bytes of key and
 * value. Addresses may be constants of the program, which must be volatile: the
 * compiler would otherwise take them for zero.
 */
static __always_inline void address_frame(struct headers *h, const volatile struct address *from,
					  const volatile struct address *to, __u32 payload)
{
	__be16 *dest = (__be16 *)h->eth.h_dest, *source = (__be16 *)h->eth.h_source;
	__u16 udp_len = sizeof(struct udphdr) + sizeof(struct message) + payload;
	__be16 tot_len = bpf_htons(sizeof(struct iphdr) + udp_len);
	__be32 saddr = from->ip, daddr = to->ip;

	for (int i = 0; i < 3; i++) {
		dest[i] = to->mac[i];
		source[i] = from->mac[i];
	}
	h->eth.h_proto = bpf_htons(ETH_P_IP);
	*(__be16 *)&h->ip = bpf_htons(VERSION_4_NO_OPTIONS << 8);
	h->ip.tot_len = tot_len;
	h->ip.id = 0;
	h->ip.frag_off = bpf_htons(DONT_FRAGMENT);
	h->ip.ttl = FRAME_TTL;
	h->ip.protocol = IPPROTO_UDP;
	h->ip.saddr = saddr;
	h->ip.daddr = daddr;
	h->ip.check = fold(bpf_htons(VERSION_4_NO_OPTIONS << 8) + tot_len +
			   bpf_htons(DONT_FRAGMENT) +
			   bpf_htons(FRAME_TTL << 8 | IPPROTO_UDP) +
			   (saddr & 0xFFFF) + (saddr >> 16) +
			   (daddr & 0xFFFF) + (daddr >> 16));
	h->udp.source = from->port;
	h->udp.dest = to->port;
	h->udp.len = bpf_htons(udp_len);
	h->udp.check = 0;
}

#endif
