/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What the program shares with the replica's process, which writes all of it
 * through memory that both have mapped: neither calls the other.
 *
 * The table is of sets of cells. A key belongs to the set that its hash names, and
 * is in any cell of it, or in none: what is not here the process answers.
 */
#ifndef DALIO_READER_STATE_H
#define DALIO_READER_STATE_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "../wire.h"

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))
/*
 * Keeps the compiler from moving loads across. The processor must not either,
 * which x86 does not; the Go side refuses others.
 */
#define in_order() asm volatile("" ::: "memory")

/* Key and value together, rounded up to words. */
#define MAX_ROOM 1384
#define WAYS 8

/* Configuration, fixed when the program is loaded. */
const volatile __be32 replica_ip;
const volatile __be16 replica_port;
const volatile __be16 replica_mac[3];
/* The number of sets less one; a power of two of them. */
const volatile __u32 set_mask;
/* The bytes of key and value that a cell has room for, a multiple of 8. */
const volatile __u32 room;

/*
 * A record. Sequence is odd while the process changes the cell, and another one
 * after each change. The fields below the lengths are as they go out.
 */
struct cell {
	__u32 sequence;
	/* Whether a read has found it since the process last asked; a hint. */
	__u32 used;
	/* The membership under which the record came: a replica id, or 0 for none. */
	__be32 replica;
	__u16 key_len;
	__u16 value_len;
	__be64 key_hash;
	__be32 version_epoch;
	__be32 digest;
	__be64 seq;
	__be64 writer;
	/* The key, then the value. */
	__u64 payload[];
};

/* For each cell the upper half of its key's hash, and the cells. */
struct set {
	__u32 tags[WAYS];
	__u64 unused[4];
	struct cell cells[];
};

/* Both sizes are set by the process before the map is made. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct set));
	__uint(max_entries, 1);
} sets SEC(".maps");

/*
 * What the replica is a member of: its epoch, then its id, as in a message's
 * header. 0 while it answers nothing: no member, or fenced. No two memberships
 * are the same, so one that is read twice was there in between.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __be64);
	__uint(max_entries, 1);
} view SEC(".maps");

/* Where a cell is copied to before anybody relies on it. */
struct scratch {
	__u64 before;
	__u64 payload[MAX_ROOM / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct scratch);
	__uint(max_entries, 1);
} scratches SEC(".maps");

/* Why a message for the replica is left to the process; PASSED_NONE means that it was answered. */
enum passed {
	PASSED_NONE,
	PASSED_UNUSUAL,	/* not a frame that the coordinator would have sent */
	PASSED_TYPE,	/* not a read */
	PASSED_GATED,	/* read again because of the gate: see MAX_HOPS_ANSWERED */
	PASSED_CLOSED,	/* not of the membership, or there is none */
	PASSED_ABSENT,	/* the key is not in the table */
	PASSED_CHANGING,	/* the record or the membership was being changed */
	PASSED_ROOM,	/* the device has no room in the frame for the value */
	PASSED_COUNT,
};

/* How many messages met which fate. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, enum passed);
	__type(value, __u64);
	__uint(max_entries, PASSED_COUNT);
} fates SEC(".maps");

#endif
