/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What a coordinator without state makes of a frame: it touches the same bytes,
 * and decides nothing. It has no sessions and no gate. Of the acknowledgements of a
 * write it takes those of the last replica for the answer and drops the others. How
 * its frames are sent is left to the program.
 *
 * Real replicas apply a write only if it is newer than what they hold, so for them it
 * can number the writes: eight bytes of state, by which nothing is decided. Otherwise
 * writes have no versions.
 */
#ifndef BENCH_FORWARD_H
#define BENCH_FORWARD_H

#include "frame.h"

#define SLOT_BITS 24
#define MAX_SLOTS 65536

const volatile struct peer self;
const volatile struct peer replicas[MAX_MEMBERS];
const volatile __u32 replica_count = 3;
const volatile __u32 epoch = 1;
const volatile bool versioned;

/* The number of the last write, if they are numbered. */
__u64 last;

enum decision {
	DECIDE_LEAVE,		/* the frame is not for the coordinator */
	DECIDE_DROP,
	DECIDE_SEND,		/* it is addressed, and goes out as it is */
	DECIDE_MULTICAST,	/* a copy for each replica is to be addressed */
};

static __always_inline enum decision reply(struct headers *h, const volatile struct address *to,
					   __u32 payload)
{
	address_frame(h, &self.address, to, payload);
	return DECIDE_SEND;
}

/* Turns what a replica sent into the answer to the client named in it. */
static __always_inline enum decision answer(struct headers *h, struct message *m,
					    enum message_type type)
{
	struct address to = m->client;

	m->type = type;
	m->status = STATUS_OK;
	m->client = (struct address){};
	return reply(h, &to, bpf_ntohs(m->key_len) + bpf_ntohs(m->value_len));
}

/* Gives a write a version that no write had before. */
static __always_inline void number(struct message *m)
{
	m->version_epoch = bpf_htonl(epoch);
	m->seq = bpf_cpu_to_be64(__sync_fetch_and_add(&last, 1) + 1);
	m->writer = m->session;
}

/*
 * Makes a session id out of a nonce. Its slot is one that a coordinator could have
 * given out, since replicas have room for as many; two sessions may have it.
 */
static __always_inline __be64 mint(__u64 nonce)
{
	return bpf_cpu_to_be64((__u64)epoch << 40 | 1 << SLOT_BITS | nonce % MAX_SLOTS);
}

/* Addresses a copy of a write to a replica. */
static __always_inline void address_copy(struct headers *h, struct message *m,
					 const volatile struct peer *to)
{
	m->replica = bpf_htonl(to->id);
	reply(h, &to->address, bpf_ntohs(m->key_len) + bpf_ntohs(m->value_len));
}

static __always_inline enum decision decide(void *data, void *data_end)
{
	struct headers *h = data;
	struct message *m = (void *)(h + 1);
	const volatile struct peer *to;

	if ((void *)(m + 1) > data_end)
		return DECIDE_LEAVE;
	if (h->eth.h_proto != bpf_htons(ETH_P_IP) || *(__u8 *)&h->ip != VERSION_4_NO_OPTIONS ||
	    h->ip.protocol != IPPROTO_UDP || h->ip.daddr != self.address.ip ||
	    h->udp.dest != self.address.port)
		return DECIDE_LEAVE;
	switch (m->type) {
	case MESSAGE_READ_REQUEST:
		to = &replicas[bpf_be64_to_cpu(m->request) % replica_count % MAX_MEMBERS];
		m->type = MESSAGE_READ;
		m->epoch = bpf_htonl(epoch);
		m->replica = bpf_htonl(to->id);
		m->client = sender(h);
		return reply(h, &to->address, bpf_ntohs(m->key_len));
	case MESSAGE_READ_REPLY:
		return answer(h, m, MESSAGE_READ_RESPONSE);
	case MESSAGE_WRITE_REQUEST:
		m->type = MESSAGE_WRITE;
		m->epoch = bpf_htonl(epoch);
		m->client = sender(h);
		if (versioned)
			number(m);
		return DECIDE_MULTICAST;
	case MESSAGE_WRITE_ACK:
		if (m->replica != bpf_htonl(replicas[(replica_count - 1) % MAX_MEMBERS].id))
			return DECIDE_DROP;
		return answer(h, m, MESSAGE_WRITE_RESPONSE);
	case MESSAGE_OPEN_REQUEST:
		m->session = mint(bpf_be64_to_cpu(m->request));
		m->client = sender(h);
		return answer(h, m, MESSAGE_OPEN_RESPONSE);
	}
	return DECIDE_DROP;
}

#endif
