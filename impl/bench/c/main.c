// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * A coordinator in user space, as good as plain sockets allow: one process on
 * one processor, datagrams received and sent in batches, messages rewritten
 * where they were received, no allocation after the start.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "outbox.h"
#include "socket.h"

volatile uint32_t tick;
static volatile sig_atomic_t stopping;

static struct coordinator coordinator = { .epoch = 1, .max_sessions = 65536, .session_ttl = 60 };
static struct inbox inbox;
static struct outbox outbox;

static void advance(int number)
{
	(void)number;
	tick++;
}

/* The clock of a test, which waits until it has advanced. */
static void step(int number)
{
	advance(number);
	if (write(STDOUT_FILENO, "tick\n", 5) != 5)
		_exit(1);
}

static void stop(int number)
{
	(void)number;
	stopping = 1;
}

static void handle_signal(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	if (sigaction(number, &action, NULL))
		die("sigaction");
}

/* Adds a replica given as ID,IP:PORT. */
static void add_replica(const char *text)
{
	char *end;
	unsigned long id = strtoul(text, &end, 10);
	struct member *m = &coordinator.known[id % MAX_MEMBERS];

	errno = EINVAL;
	if (*end != ',' || !id || m->id)
		die(text);
	m->id = id;
	m->address = parse_address(end + 1);
	coordinator.members |= 1 << id % MAX_MEMBERS;
}

static void set_serving(unsigned int serving)
{
	coordinator.serving = serving;
	for (int i = 0; i < MAX_MEMBERS; i++)
		if (serving >> i & 1)
			coordinator.serving_list[coordinator.serving_count++] = i;
}

enum option_name { LISTEN = 1, EPOCH, REPLICA, SERVING, SESSIONS, TTL, CPU, BATCH, BUSY_POLL, SEGMENT, NO_TICK };

static const struct option options[] = {
	{ "listen", required_argument, NULL, LISTEN },	   /* IP:PORT */
	{ "epoch", required_argument, NULL, EPOCH },
	{ "replica", required_argument, NULL, REPLICA },   /* ID,IP:PORT; may be repeated */
	{ "serving", required_argument, NULL, SERVING },   /* set of indices; all, unless given */
	{ "sessions", required_argument, NULL, SESSIONS }, /* a power of two */
	{ "ttl", required_argument, NULL, TTL },	   /* in seconds */
	{ "cpu", required_argument, NULL, CPU },
	{ "batch", required_argument, NULL, BATCH },
	{ "busy-poll", required_argument, NULL, BUSY_POLL }, /* in microseconds */
	{ "segment", no_argument, NULL, SEGMENT },	     /* see outbox.h */
	{ "no-tick", no_argument, NULL, NO_TICK },	     /* SIGUSR1 is the clock, and answered */
	{ 0 },
};

/* Returns the socket's options; the coordinator's own are set. */
static struct socket_options parse(int argc, char **argv, int *clock)
{
	struct socket_options o = { .cpu = -1, .batch = 64 };
	long serving = -1;
	int name;

	while ((name = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (name) {
		case LISTEN: o.listen = parse_address(optarg); break;
		case EPOCH: coordinator.epoch = strtoul(optarg, NULL, 10); break;
		case REPLICA: add_replica(optarg); break;
		case SERVING: serving = strtoul(optarg, NULL, 0); break;
		case SESSIONS: coordinator.max_sessions = strtoul(optarg, NULL, 10); break;
		case TTL: coordinator.session_ttl = strtoul(optarg, NULL, 10); break;
		case CPU: o.cpu = atoi(optarg); break;
		case BATCH: o.batch = atoi(optarg); break;
		case BUSY_POLL: o.busy_poll = atoi(optarg); break;
		case SEGMENT: o.checksums = 1; break;
		case NO_TICK: *clock = 0; break;
		default: exit(2);
		}
	}
	errno = EINVAL;
	if (!o.listen.sin_port || o.batch < 1 || o.batch > MAX_BATCH || !coordinator.max_sessions ||
	    coordinator.max_sessions & (coordinator.max_sessions - 1))
		die("options");
	set_serving(serving < 0 ? coordinator.members : serving & coordinator.members);
	return o;
}

static void report_drops(void)
{
	printf("drops");
	for (int i = 0; i < REASON_COUNT; i++)
		printf(" %llu", (unsigned long long)coordinator.drops[i]);
	puts("");
}

static void serve(int fd, int batch)
{
	while (!stopping) {
		int n = receive(fd, &inbox, batch);

		for (int i = 0; i < n; i++) {
			if (!has_room(&outbox))
				send_outbox(fd, &outbox);
			coordinator.drops[handle(&coordinator, (void *)inbox.buffers[i],
						 inbox.messages[i].msg_len, &inbox.addresses[i],
						 &outbox)]++;
		}
		send_outbox(fd, &outbox);
	}
}

int main(int argc, char **argv)
{
	struct itimerval second = { .it_interval.tv_sec = 1, .it_value.tv_sec = 1 };
	struct socket_options o;
	int clock = 1, fd;

	o = parse(argc, argv, &clock);
	coordinator.sessions = aligned_alloc(64, coordinator.max_sessions * sizeof(struct session_entry));
	if (!coordinator.sessions)
		die("session table");
	memset(coordinator.sessions, 0, coordinator.max_sessions * sizeof(struct session_entry));
	init_inbox(&inbox);
	init_outbox(&outbox, o.checksums);
	handle_signal(SIGTERM, stop);
	handle_signal(SIGALRM, advance);
	handle_signal(SIGUSR1, step);
	if (clock && setitimer(ITIMER_REAL, &second, NULL))
		die("setitimer");
	fd = open_socket(&o);
	report_ready();
	serve(fd, o.batch);
	report_drops();
	return 0;
}
