/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Putting messages into an outbox. */
#ifndef BENCH_OUTBOX_H
#define BENCH_OUTBOX_H

#include <string.h>

#include "coordinator.h"

/* Adds a message, which must stay where it is until it is sent. */
static inline void push(struct outbox *out, void *bytes, size_t length, in_addr_t ip, in_port_t port)
{
	unsigned int i = out->count++;

	out->parts[i].iov_base = bytes;
	out->parts[i].iov_len = length;
	out->addresses[i].sin_addr.s_addr = ip;
	out->addresses[i].sin_port = port;
}

/*
 * Copies a message whole, into room of the outbox: one part to a message is what
 * the kernel takes fastest.
 */
static inline struct message *copy_message(struct outbox *out, const struct message *m, size_t length)
{
	void *copy = out->copies + out->used;

	out->used += (length + 63) & ~63UL;
	return memcpy(copy, m, length);
}

/* Adds a message to the replica with the index. */
static inline void push_member(struct outbox *out, uint32_t index, const struct sockaddr_in *to,
			       struct message *m, size_t length)
{
	struct train *t = &out->trains[index];

	if (!out->segmenting) {
		push(out, m, length, to->sin_addr.s_addr, to->sin_port);
		return;
	}
	t->to = *to;
	out->in_trains++;
	t->parts[t->count++] = (struct iovec){ m, length };
}

/* Says whether the outbox has room for what one more message may make. */
static inline int has_room(const struct outbox *out)
{
	return out->count + out->in_trains + MAX_MEMBERS <= MAX_OUT;
}

/* With segmenting, the kernel gets messages to a replica many at a time. */
void init_outbox(struct outbox *out, int segmenting);

/* Sends what is in the outbox, and empties it. */
void send_outbox(int fd, struct outbox *out);

#endif
