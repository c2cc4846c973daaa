// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <netinet/udp.h>

#include "outbox.h"
#include "socket.h"

/* Datagrams that the kernel takes in one piece, and the bytes it takes. */
#define MAX_SEGMENTS 64
#define MAX_TRAIN 65000

void init_outbox(struct outbox *out, int segmenting)
{
	memset(out, 0, sizeof(*out));
	out->segmenting = segmenting;
	for (int i = 0; i < MAX_OUT; i++) {
		out->addresses[i].sin_family = AF_INET;
		out->messages[i].msg_hdr.msg_name = &out->addresses[i];
		out->messages[i].msg_hdr.msg_namelen = sizeof(out->addresses[i]);
		out->messages[i].msg_hdr.msg_iov = &out->parts[i];
		out->messages[i].msg_hdr.msg_iovlen = 1;
		out->cuts[i].header.cmsg_len = CMSG_LEN(sizeof(uint16_t));
		out->cuts[i].header.cmsg_level = IPPROTO_UDP;
		out->cuts[i].header.cmsg_type = UDP_SEGMENT;
	}
}

/* Returns how many of the parts from the first on are of one size, for one call. */
static unsigned int run_of(const struct iovec *parts, unsigned int count)
{
	size_t size = parts[0].iov_len;
	unsigned int n = 1;

	while (n < count && n < MAX_SEGMENTS && parts[n].iov_len == size && (n + 1) * size <= MAX_TRAIN)
		n++;
	return n;
}

/* Makes messages of a train, each of parts that have one size. */
static void dispatch(struct outbox *out, struct train *t)
{
	for (unsigned int from = 0, n; from < t->count; from += n) {
		unsigned int i = out->count++;
		struct msghdr *h = &out->messages[i].msg_hdr;

		n = run_of(t->parts + from, t->count - from);
		out->addresses[i] = t->to;
		out->cuts[i].size = t->parts[from].iov_len;
		h->msg_iov = t->parts + from;
		h->msg_iovlen = n;
		h->msg_control = n > 1 ? &out->cuts[i] : NULL;
		h->msg_controllen = n > 1 ? sizeof(out->cuts[i]) : 0;
	}
	t->count = 0;
}

void send_outbox(int fd, struct outbox *out)
{
	unsigned int single = out->count;

	if (out->segmenting)
		for (int i = 0; i < MAX_MEMBERS; i++)
			dispatch(out, &out->trains[i]);
	transmit_all(fd, out->messages, out->count);
	for (; single < out->count; single++) {
		struct msghdr *h = &out->messages[single].msg_hdr;

		h->msg_iov = &out->parts[single];
		h->msg_iovlen = 1;
		h->msg_control = NULL;
		h->msg_controllen = 0;
	}
	out->count = out->in_trains = out->used = 0;
}
