/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Parsing: from a frame to pointers that handlers may use without more checks. */
#ifndef DALIO_PACKET_H
#define DALIO_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include "state.h"

/* A frame that holds a whole message header, and what its handling needs. */
struct packet {
	struct xdp_md *ctx;
	struct ethhdr *eth;
	struct iphdr *ip;
	struct udphdr *udp;
	struct message *message;
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

#define HEADERS_SIZE (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define FRAGMENT_MASK 0x3FFF
#define VERSION_4_NO_OPTIONS 0x45
/* What parse returns for a frame that is not Dalio's. */
#define NOT_OURS (-1)

static __always_inline void count(struct packet *p, enum activity activity)
{
	p->counters->activities[activity]++;
}

/*
 * Checks lengths and version and fills in *p. Returns NOT_OURS, a reason to drop
 * the frame, or REASON_NONE.
 */
static __always_inline int parse(struct xdp_md *ctx, struct packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 ip_len, payload_len;

	if (data + HEADERS_SIZE > end)
		return NOT_OURS;
	p->ctx = ctx;
	p->eth = data;
	p->ip = data + sizeof(struct ethhdr);
	p->udp = (void *)p->ip + sizeof(struct iphdr);
	if (p->eth->h_proto != bpf_htons(ETH_P_IP) || *(__u8 *)p->ip != VERSION_4_NO_OPTIONS ||
	    p->ip->frag_off & bpf_htons(FRAGMENT_MASK) || p->ip->protocol != IPPROTO_UDP ||
	    p->ip->daddr != coordinator_ip || p->udp->dest != coordinator_port)
		return NOT_OURS;

	ip_len = bpf_ntohs(p->ip->tot_len);
	if (sizeof(struct ethhdr) + ip_len != end - data ||
	    bpf_ntohs(p->udp->len) != ip_len - sizeof(struct iphdr))
		return REASON_BAD_LENGTH;
	if (data + HEADERS_SIZE + sizeof(struct message) > end)
		return REASON_BAD_LENGTH;
	p->message = data + HEADERS_SIZE;
	p->key_len = bpf_ntohs(p->message->key_len);
	p->value_len = bpf_ntohs(p->message->value_len);
	payload_len = ip_len - sizeof(struct iphdr) - sizeof(struct udphdr);
	if (sizeof(struct message) + p->key_len + p->value_len != payload_len)
		return REASON_BAD_LENGTH;
	if (p->message->magic != bpf_htons(MESSAGE_MAGIC) ||
	    p->message->version != MESSAGE_VERSION)
		return REASON_BAD_VERSION;
	return REASON_NONE;
}

/* Says whether an answer can be sent to the address. */
static __always_inline int is_valid(const struct address *a)
{
	return a->ip && a->port;
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

static __always_inline struct address sender(const struct packet *p)
{
	const __be16 *mac = (const __be16 *)p->eth->h_source;
	struct address from = {
		.ip = p->ip->saddr,
		.port = p->udp->source,
		.mac = { mac[0], mac[1], mac[2] },
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
	return !p->message->request || !p->key_len || p->key_len > MAX_KEY_SIZE ||
	       !p->ip->saddr || !p->udp->source;
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

	if (epoch != p->view->epoch)
		return epoch < p->view->epoch ? REASON_STALE_EPOCH : REASON_FUTURE_EPOCH;
	if (!known->id || known->id != id || known->address.ip != p->ip->saddr ||
	    known->address.port != p->udp->source)
		return REASON_UNKNOWN_REPLICA;
	note_answer(p->message);
	return REASON_NONE;
}

#endif
