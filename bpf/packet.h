/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Parsing: from a frame to pointers that handlers may use without more checks. */
#ifndef DALIO_PACKET_H
#define DALIO_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include "state.h"

/*
 * Part of a frame, as a word. Much of what a handler takes is its number of accesses:
 * the fewer there are, the sooner the processor gets to the next frame, whose first
 * bytes it must wait for. So headers are read and written in words as large as there
 * can be, wherever they lie; their order is that of little-endian machines.
 */
#define WORD_AT(type, base, offset) (*(type *)((void *)(base) + (offset)))

/* Where an answer goes: an address, in two words. */
struct endpoint {
	__be32 ip;
	/* As in struct address: the port is in the low 16 bits. */
	__u64 port_and_mac;
};

/* A frame that holds a whole message header, and what its handling needs. */
struct packet {
	struct xdp_md *ctx;
	void *data;
	struct message *message;
	__u32 type;
	__u32 key_len;
	__u32 value_len;
	struct membership *view;
	struct counters *counters;
	/*
	 * Numbers of the devices that the frame came in by and will leave by. They
	 * are 0 and not looked at if there is one device only.
	 */
	__u32 ingress;
	__u32 egress;
	/* Set by a handler that wants the message multicast to these members. */
	__u32 targets;
#ifdef DALIO_EVENTS
	struct event *event;
#endif
};

#define IP_OFFSET sizeof(struct ethhdr)
#define UDP_OFFSET (IP_OFFSET + sizeof(struct iphdr))
#define HEADERS_SIZE (UDP_OFFSET + sizeof(struct udphdr))
#define FIXED_SIZE (HEADERS_SIZE + sizeof(struct message))
#define FRAGMENT_MASK 0x3FFF
#define VERSION_4_NO_OPTIONS 0x45
/* What parse returns for a frame that is not Dalio's. */
#define NOT_OURS (-1)

static __always_inline void count(struct packet *p, enum activity activity)
{
	p->counters->activities[activity]++;
}

/* Says whether a frame that has all headers is a whole datagram to the coordinator. */
static __always_inline int is_ours(void *data)
{
	/* EtherType, version and length of the IPv4 header, and a byte that is not asked. */
	__u32 kind = WORD_AT(__u32, data, IP_OFFSET - 2) & 0xFFFFFF;
	/* Fragmentation, a byte that is not asked, and the protocol. */
	__u32 protocol = WORD_AT(__u32, data, IP_OFFSET + 6) & (0xFFU << 24 | bpf_htons(FRAGMENT_MASK));

	return kind == (VERSION_4_NO_OPTIONS << 16 | bpf_htons(ETH_P_IP)) &&
	       protocol == IPPROTO_UDP << 24 &&
	       WORD_AT(__be32, data, IP_OFFSET + 16) == coordinator_address.ip &&
	       WORD_AT(__be16, data, UDP_OFFSET + 2) == coordinator_address.port;
}

/*
 * Checks lengths and version and fills in *p. Returns NOT_OURS, a reason to drop
 * the frame, or REASON_NONE.
 */
static __always_inline int parse(struct xdp_md *ctx, struct packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 ip_len, head;

	if (data + FIXED_SIZE > end)
		return data + HEADERS_SIZE <= end && is_ours(data) ? REASON_BAD_LENGTH : NOT_OURS;
	if (!is_ours(data))
		return NOT_OURS;
	p->ctx = ctx;
	p->data = data;
	p->message = data + HEADERS_SIZE;
	p->key_len = bpf_ntohs(p->message->key_len);
	p->value_len = bpf_ntohs(p->message->value_len);
	ip_len = bpf_ntohs(WORD_AT(__be16, data, IP_OFFSET + 2));
	if (IP_OFFSET + ip_len != end - data ||
	    bpf_ntohs(WORD_AT(__be16, data, UDP_OFFSET + 4)) != ip_len - sizeof(struct iphdr) ||
	    FIXED_SIZE - IP_OFFSET + p->key_len + p->value_len != ip_len)
		return REASON_BAD_LENGTH;
	head = WORD_AT(__u32, data, HEADERS_SIZE);
	if ((head & 0xFFFFFF) != (MESSAGE_VERSION << 16 | bpf_htons(MESSAGE_MAGIC)))
		return REASON_BAD_VERSION;
	p->type = head >> 24;
	return REASON_NONE;
}

static __always_inline struct endpoint endpoint_of(const struct address *a)
{
	struct endpoint e = { .ip = a->ip, .port_and_mac = WORD_AT(__u64, &a->port, 0) };

	return e;
}

static __always_inline void put_address(struct address *a, struct endpoint e)
{
	WRITE_ONCE(a->ip, e.ip);
	WORD_AT(volatile __u64, &a->port, 0) = e.port_and_mac;
}

/* Says whether an answer can be sent there. */
static __always_inline int is_valid(struct endpoint e)
{
	return e.ip && (__u16)e.port_and_mac;
}

/* The time, for the lease alone. */
static __always_inline __u64 clock(void)
{
	return clock_stands ? READ_ONCE(clock_now) : bpf_ktime_get_ns();
}

/*
 * The time of the last tick of the same clock, at a small part of the cost: it is
 * never ahead. For stamps alone, where a time too early shortens a lease by a tick;
 * whether a lease has run out must not be asked of a clock that lags.
 */
static __always_inline __u64 coarse_clock(void)
{
	return clock_stands ? READ_ONCE(clock_now) : bpf_ktime_get_coarse_ns();
}

static __always_inline struct endpoint sender(const struct packet *p)
{
	/* The last two bytes of the destination are in front of the source. */
	struct endpoint from = {
		.ip = WORD_AT(__be32, p->data, IP_OFFSET + 12),
		.port_and_mac = (WORD_AT(__u64, p->data, 4) & ~0xFFFFULL) | WORD_AT(__be16, p->data, UDP_OFFSET),
	};

	return from;
}

/* The latest time that is known without the clock: it is never ahead either. */
static __always_inline __u64 latest(void)
{
	__u64 last_tick = coarse_clock(), last_look = READ_ONCE(moment);

	return last_look > last_tick ? last_look : last_tick;
}

/* What every read and write request must have. */
static __always_inline int is_bad_request(const struct packet *p)
{
	return !p->message->request || !p->key_len || p->key_len > MAX_KEY_SIZE || !is_valid(sender(p));
}

/*
 * Takes note of when a message that a replica has answered was sent. What the program
 * has sent is no later than the latest time; what the control plane has, by the clock.
 */
static __always_inline void note_answer(const struct message *m)
{
	__u64 *newest = &answered[bpf_ntohl(m->replica) % MAX_MEMBERS], sent;

	if (!lease)
		return;
	sent = bpf_be64_to_cpu(m->sent);
	if (sent > READ_ONCE(*newest) && (sent <= latest() || sent <= clock()))
		WRITE_ONCE(*newest, sent);
}

/*
 * Admits a replica's message: of this epoch, from a replica known now, sent from
 * that replica's own address.
 */
static __always_inline enum drop_reason check_replica(const struct packet *p)
{
	__u32 epoch = bpf_ntohl(p->message->epoch), id = bpf_ntohl(p->message->replica);
	const struct member *known = &p->view->known[id % MAX_MEMBERS];
	struct endpoint from = sender(p);

	if (epoch != p->view->epoch)
		return epoch < p->view->epoch ? REASON_STALE_EPOCH : REASON_FUTURE_EPOCH;
	if (!known->id || known->id != id || known->address.ip != from.ip ||
	    known->address.port != (__u16)from.port_and_mac)
		return REASON_UNKNOWN_REPLICA;
	note_answer(p->message);
	return REASON_NONE;
}

#endif
