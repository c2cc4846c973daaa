/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What coordinator and echo have in common: one UDP socket, served in batches. */
#ifndef BENCH_SOCKET_H
#define BENCH_SOCKET_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "coordinator.h"

/* Room for a batch of datagrams. */
struct inbox {
	struct mmsghdr messages[MAX_BATCH];
	struct iovec parts[MAX_BATCH];
	struct sockaddr_in addresses[MAX_BATCH];
	uint8_t buffers[MAX_BATCH][2048] __attribute__((aligned(64)));
};

/* What the command line says of the socket. */
struct socket_options {
	struct sockaddr_in listen;
	int cpu;
	int batch;
	/* Microseconds to poll the device when nothing has come; 0: sleep. */
	int busy_poll;
	/* Datagrams get a UDP checksum, without which the kernel cuts none. */
	int checksums;
};

/* Parses IP:PORT, or ends the process. */
struct sockaddr_in parse_address(const char *text);

/* Opens the socket and pins the process, or ends it with a message. */
int open_socket(const struct socket_options *o);

void init_inbox(struct inbox *in);

/*
 * Waits for datagrams and takes up to batch of those that are there. Returns
 * their number, 0 if a signal came first.
 */
int receive(int fd, struct inbox *in, int batch);

/* Sends count messages; what the kernel refuses is lost, as on a network. */
void transmit_all(int fd, struct mmsghdr *messages, unsigned int count);

/* Says on standard output that datagrams are served from now on. */
void report_ready(void);

_Noreturn void die(const char *what);

#endif
