// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Keeps a processor from falling idle: runs there and yields all the time, with the
 * priority that somebody gives it. It ends by itself after some seconds.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	cpu_set_t cpus;

	if (argc != 3) {
		fprintf(stderr, "usage: awake CPU SECONDS\n");
		return 2;
	}
	CPU_ZERO(&cpus);
	CPU_SET(atoi(argv[1]), &cpus);
	alarm(atoi(argv[2]));
	if (sched_setaffinity(0, sizeof(cpus), &cpus)) {
		perror("awake");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		sched_yield();
}
