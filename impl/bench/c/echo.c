// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * A bare echo: receives and sends datagrams as the coordinator does and looks at
 * none. It bounds what any coordinator on plain sockets can reach.
 */
#include <getopt.h>
#include <stdlib.h>

#include "socket.h"

static struct inbox inbox;

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "cpu", required_argument, NULL, 'c' },
		{ "batch", required_argument, NULL, 'b' },
		{ 0 },
	};
	struct socket_options o = { .cpu = -1, .batch = 64 };
	int name, fd;

	while ((name = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (name) {
		case 'l': o.listen = parse_address(optarg); break;
		case 'c': o.cpu = atoi(optarg); break;
		case 'b': o.batch = atoi(optarg); break;
		default: exit(2);
		}
	}
	init_inbox(&inbox);
	fd = open_socket(&o);
	report_ready();
	for (;;) {
		int n = receive(fd, &inbox, o.batch);

		/* The answer is as long as what came, and goes where it came from. */
		for (int i = 0; i < n; i++)
			inbox.parts[i].iov_len = inbox.messages[i].msg_len;
		transmit_all(fd, inbox.messages, n);
		for (int i = 0; i < n; i++)
			inbox.parts[i].iov_len = sizeof(inbox.buffers[i]);
	}
}
