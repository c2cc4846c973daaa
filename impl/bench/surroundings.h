/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the surroundings are told, know and count. */
#ifndef BENCH_SURROUNDINGS_H
#define BENCH_SURROUNDINGS_H

#include "frame.h"

#define MAX_LANES 1024
#define MAX_REGISTERS 4096
/* Key and value of one key. */
#define MAX_PAYLOAD 1384
/* Of a key, where its variant is written; see struct key_register. */
#define VARIANT_OFFSET 4

/* Fixed when the program is loaded. */
const volatile struct peer coordinator;
const volatile struct peer replicas[MAX_MEMBERS];
const volatile __u32 replica_count = 3;
const volatile __u32 epoch = 1;
const volatile __u32 lane_count = 64;
/* The port of lane 0; the others follow. */
const volatile __u32 first_port = 20000;
const volatile __u32 key_count = 1024;
/* A power of two. */
const volatile __u32 register_count = 1024;
const volatile __u32 key_len = 16;
const volatile __u32 value_len = 64;
/* Whether versions in answers are judged; a stateless forwarder gives none. */
const volatile __u32 audited = 1;
/*
 * Whether replicas answer reads of clients themselves, to whoever sent them on: a
 * balancer, which knows nothing of messages.
 */
const volatile __u32 direct;

/* Written by user space while the program runs. */
struct orders {
	/* Frames are dropped after this time of the coarse monotonic clock. */
	__u64 deadline;
	/* Writes among 1,000 operations. */
	__u32 writes;
	/* How keys are chosen: enum choice. */
	__u32 choice;
	/* Lanes end when their operation is complete. */
	__u32 stop;
	/* What comes back is what was sent: the peer is an echo. */
	__u32 echo;
	/* The last replica loses all writes, which therefore stay pending. */
	__u32 withhold;
	/* How long each operation takes is noted in the histogram. */
	__u32 timed;
};

enum choice {
	CHOICE_RANDOM,
	CHOICE_IN_TURN,	/* each lane goes round all keys */
	CHOICE_OWN,	/* each lane has a key of its own, that of its number */
};

struct orders control;

/* Why an answer was not counted. */
enum fault {
	FAULT_LANE,	/* to no lane of ours */
	FAULT_STATUS,	/* not OK */
	FAULT_REQUEST,	/* not of the lane's open request */
	FAULT_SHAPE,	/* wrong key, digest or length */
	FAULT_VERSION,	/* older than what was committed before the request */
	FAULT_REPLICA,	/* a request to no replica of ours, or not in its form */
	FAULT_TYPE,	/* a message that a coordinator doesn't send */
	FAULT_FOREIGN,	/* not of Dalio */
	FAULT_ROOM,	/* the kernel would not make room for a value */
	FAULT_LATE,	/* after the deadline */
	FAULT_COUNT,
};

struct tally {
	__u64 reads;
	__u64 writes;
	__u64 opens;
	__u64 echoes;
	/* Lanes that ended after the stop. */
	__u64 parked;
	/* Frames received and sent. */
	__u64 in;
	__u64 out;
	/* Reads that came back to a replica because of the gate. */
	__u64 hops;
	__u64 faults[FAULT_COUNT];
	/* Reads served by each replica, and writes applied. */
	__u64 served[MAX_MEMBERS];
	__u64 applied[MAX_MEMBERS];
};

struct tally counts;

/*
 * How many operations took how long, in nanoseconds: one bucket for each up to
 * 127, and above that 64 for each doubling, to 2 seconds and all beyond.
 */
#define TIME_BITS 6
#define TIME_DOUBLINGS 24
#define TIME_BUCKETS ((TIME_DOUBLINGS + 2) << TIME_BITS)

__u64 times[TIME_BUCKETS];

static __always_inline void note_time(__u64 took)
{
	__u32 doublings = 0;

	while (doublings < TIME_DOUBLINGS && took >> doublings >= 2 << TIME_BITS)
		doublings++;
	took >>= doublings;
	if (took >= 2 << TIME_BITS)
		took = (2 << TIME_BITS) - 1;
	times[((doublings << TIME_BITS) + took) % TIME_BUCKETS]++;
}

struct lane {
	struct address address;
	__u32 key;
	__u64 session;
	__u64 request;
	/* The newest version that was committed when the request was sent. */
	__u64 floor;
	__u64 completed;
	/* The type of the answer that the lane waits for. */
	__u32 awaits;
	__u32 unused;
	/* When the request was sent, 0 if that was not noted. */
	__u64 sent;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_LANES);
	__type(key, __u32);
	__type(value, struct lane);
} lanes SEC(".maps");

/*
 * What is known of a key, so that answers can be judged. Keys share registers if they
 * are many, so that memory and cost are the same for any number of keys: key i has
 * register i mod register_count, and its variant, i / register_count, in its bytes and
 * in the upper half of its hash. For what is judged such keys are one: a write of the
 * one is a write of the other, and no version may be older than one committed before.
 *
 * Every write of a register has the same value, so that digests need no computing;
 * they are those of variant 0. No coordinator could tell.
 */
struct key_register {
	/* Its index is in the low bits. */
	__u64 hash;
	/* Of the key alone followed by its value. */
	__u32 digest;
	__u32 unused;
	/* The newest version that a client knows to be committed. */
	__u64 floor;
	__u8 payload[MAX_PAYLOAD];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_REGISTERS);
	__type(key, __u32);
	__type(value, struct key_register);
} registers SEC(".maps");

/* What a replica holds of a register. */
struct record {
	__u64 seq;
	__u64 writer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_REGISTERS * MAX_MEMBERS);
	__type(key, __u32);
	__type(value, struct record);
} records SEC(".maps");

/* Only the program's own thread draws from it. */
__u64 random_state = 1;

static __always_inline __u32 draw(void)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return random_state >> 32;
}

#endif
