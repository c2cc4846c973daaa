// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "socket.h"

#define BUFFER_BYTES (8 << 20)

_Noreturn void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

struct sockaddr_in parse_address(const char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	char ip[INET_ADDRSTRLEN] = "";
	unsigned short port;

	errno = EINVAL;
	if (sscanf(text, "%15[0-9.]:%hu", ip, &port) != 2 || inet_pton(AF_INET, ip, &a.sin_addr) != 1)
		die(text);
	a.sin_port = htons(port);
	return a;
}

static void set(int fd, int level, int option, int value, const char *name)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		die(name);
}

int open_socket(const struct socket_options *o)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	/* The usual limit is 50 frames or so, far less than are in flight. */
	set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES, "receive buffer");
	set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES, "send buffer");
	/* A message has its own digest, and no UDP checksum. */
	set(fd, SOL_SOCKET, SO_NO_CHECK, !o->checksums, "no checksum");
	/* Saves the kernel the choice of an identification for each packet. */
	set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO, "don't fragment");
	if (o->busy_poll)
		set(fd, SOL_SOCKET, SO_BUSY_POLL, o->busy_poll, "busy poll");
	if (bind(fd, (const struct sockaddr *)&o->listen, sizeof(o->listen)))
		die("bind");
	if (o->cpu >= 0) {
		cpu_set_t cpus;

		CPU_ZERO(&cpus);
		CPU_SET(o->cpu, &cpus);
		if (sched_setaffinity(0, sizeof(cpus), &cpus))
			die("pin");
	}
	return fd;
}

void init_inbox(struct inbox *in)
{
	memset(in, 0, sizeof(*in));
	for (int i = 0; i < MAX_BATCH; i++) {
		in->parts[i].iov_base = in->buffers[i];
		in->parts[i].iov_len = sizeof(in->buffers[i]);
		in->messages[i].msg_hdr.msg_iov = &in->parts[i];
		in->messages[i].msg_hdr.msg_iovlen = 1;
		in->messages[i].msg_hdr.msg_name = &in->addresses[i];
		in->messages[i].msg_hdr.msg_namelen = sizeof(in->addresses[i]);
	}
}

int receive(int fd, struct inbox *in, int batch)
{
	int n = recvmmsg(fd, in->messages, batch, MSG_WAITFORONE, NULL);

	if (n >= 0)
		return n;
	/* An ICMP error of something sent before is no reason to stop. */
	if (errno == EINTR || errno == ECONNREFUSED || errno == EHOSTUNREACH)
		return 0;
	die("recvmmsg");
}

void transmit_all(int fd, struct mmsghdr *messages, unsigned int count)
{
	unsigned int done = 0;

	while (done < count) {
		int n = sendmmsg(fd, messages + done, count - done, 0);

		done += n > 0 ? (unsigned int)n : 1;
	}
}

void report_ready(void)
{
	puts("ready");
	fflush(stdout);
}
