/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The coordinator without sockets: its state, and the handlers, which have the
 * names of those in spec/Dalio.tla. It coordinates as the XDP program and the
 * model in package protocol do; a test sends the same messages to it and to the
 * model and compares what comes out.
 */
#ifndef BENCH_COORDINATOR_H
#define BENCH_COORDINATOR_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "wire.h"

#define MAX_BATCH 256
#define MAX_MESSAGE 1472
/* Messages that one batch may make, and what sendmmsg takes at most at once. */
#define MAX_OUT 1024

#define SLOT_BITS 24
#define COUNT_BITS 16
#define MAX_COUNT ((1ULL << COUNT_BITS) - 1)
#define EPOCH_MASK 0xFFFFFFULL
#define ACKS_COMMITTED 0xFFFFULL
#define ACKS(word) ((word) & 0xFFFF)
#define SEQ(word) ((word) >> 16)
#define WORD(seq, acks) ((seq) << 16 | (acks))

struct member {
	uint32_t id;
	struct sockaddr_in address;
};

/* A slot of the session table: the session's last write, pending or committed. */
struct session_entry {
	/* seq << 16 | acknowledging set; 0: no write yet. */
	uint64_t word;
	uint64_t owner;
	uint64_t nonce;
	uint64_t request;
	uint64_t key_hash;
	uint32_t digest;
	uint32_t tick;
	uint8_t op;
	uint8_t unused[15];
};

_Static_assert(sizeof(struct session_entry) == 64, "a session entry is one cache line");

struct coordinator {
	uint64_t next_seq;
	uint32_t epoch;
	uint32_t max_sessions;
	uint32_t session_ttl;
	uint16_t members;
	uint16_t serving;
	uint32_t serving_count;
	uint8_t serving_list[MAX_MEMBERS];
	struct member known[MAX_MEMBERS];
	struct session_entry *sessions;
	uint64_t drops[REASON_COUNT];
};

/* Tells the kernel to cut a message into datagrams. */
struct cut {
	struct cmsghdr header;
	uint16_t size;
} __attribute__((aligned(8)));

/* Messages to one replica that the kernel may take as one. */
struct train {
	unsigned int count;
	struct sockaddr_in to;
	struct iovec parts[MAX_BATCH];
};

/* What a batch of messages made, ready for sendmmsg. */
struct outbox {
	unsigned int count;
	/* Messages in trains, of which there are no more messages to the kernel. */
	unsigned int in_trains;
	/* Bytes of copies used so far. */
	size_t used;
	/* Whether messages to a replica are gathered in trains. */
	int segmenting;
	struct train trains[MAX_MEMBERS];
	struct cut cuts[MAX_OUT];
	struct mmsghdr messages[MAX_OUT];
	struct iovec parts[MAX_OUT];
	struct sockaddr_in addresses[MAX_OUT];
	uint8_t copies[MAX_OUT * MAX_MESSAGE];
};

/* The control plane's clock, in seconds. */
extern volatile uint32_t tick;

/*
 * Takes one message of length bytes at m. What it makes of it is added to the
 * outbox, which must have room for MAX_MEMBERS more, and may lie at m. Returns
 * why nothing was sent, or REASON_NONE.
 */
enum drop_reason handle(struct coordinator *c, struct message *m, size_t length,
			const struct sockaddr_in *from, struct outbox *out);

#endif
