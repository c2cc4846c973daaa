// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Empties a BPF ring buffer again and again, without a look at what is in it. Its map is
 * file 3. On a processor that others keep busy it needs a priority above theirs.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RING 3
/* A ring of 64 MB is full after some 30 ms at the earliest. */
#define INTERVAL_NS 2000000

int main(int argc, char **argv)
{
	const struct timespec interval = { .tv_nsec = INTERVAL_NS };
	unsigned long *consumed, *produced;
	cpu_set_t cpus;

	if (argc != 2) {
		fprintf(stderr, "usage: empty CPU\n");
		return 2;
	}
	/* The ring's first page says how far it was read, and the second how far written. */
	consumed = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, RING, 0);
	produced = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, RING, getpagesize());
	CPU_ZERO(&cpus);
	CPU_SET(atoi(argv[1]), &cpus);
	if (consumed == MAP_FAILED || produced == MAP_FAILED || sched_setaffinity(0, sizeof(cpus), &cpus)) {
		perror("empty");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		__atomic_store_n(consumed, __atomic_load_n(produced, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
		nanosleep(&interval, NULL);
	}
}
