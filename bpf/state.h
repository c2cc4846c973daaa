/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Everything the data plane remembers: configuration, what the control plane
 * writes while it runs, the session table, and counters.
 */
#ifndef DALIO_STATE_H
#define DALIO_STATE_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "wire.h"

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

/* Configuration, fixed when the program is loaded. */
const volatile struct address coordinator_address;
/* A power of two. */
const volatile __u32 max_sessions = 65536;
/* In ticks. */
const volatile __u32 session_ttl = 60;
/*
 * Whether the program is for more than one device. An object is built for the
 * one or for the other, because a branch at run time would cost a fifth of what
 * the handlers take. The variable lets Go see which one it has.
 */
#ifdef DALIO_SEVERAL_DEVICES
#define SEVERAL_DEVICES 1
#else
#define SEVERAL_DEVICES 0
#endif

const volatile __u32 several_devices = SEVERAL_DEVICES;

/*
 * For how long, in nanoseconds, the silence of a member is borne before no more
 * values are released; 0 for ever, and then no clock is read.
 */
const volatile __u64 lease;
/* For tests: the clock stands at clock_now. */
const volatile __u32 clock_stands;
__u64 clock_now;

/* A device that the program is on; written by the control plane before it is. */
struct device {
	__u32 ifindex;
	__be16 mac[3];
	__u16 unused;
};

struct device devices[MAX_DEVICES];

struct member {
	__u32 id;
	struct address address;
};

/* The epoch and all that changes with it. */
struct membership {
	__u32 epoch;
	/* Sets of indices: who must acknowledge writes, who may serve reads. */
	__u16 members;
	__u16 serving;
	/* Whether there are fewer members than new writes need. */
	__u32 too_few;
	/* For the control plane; no program looks at it. */
	__u32 min_members;
	/*
	 * No member's silence is too long before this time; written by the handlers,
	 * which find it out anew when it has come.
	 */
	__u64 lease_until;
	/* The indices in serving, so that a read finds the nth without a loop. */
	__u32 serving_count;
	__u8 serving_list[MAX_MEMBERS];
	/* Every replica that may speak to the coordinator; id 0 is nobody. */
	struct member known[MAX_MEMBERS];
	/* The number of the device that each replica is reached by. */
	__u8 device[MAX_MEMBERS];
	/* The members reached by each device. */
	__u16 leaving[MAX_DEVICES];
};

/*
 * Written by the control plane: it fills the membership that is not in use, and
 * then changes active. A program reads active once, so that each frame is
 * handled under one membership.
 */
struct membership memberships[2];
__u32 active;
/* The clock of session reclaim, bumped by the control plane; no other exists. */
__u32 tick;
/* The one device, if there is one only, set when the program is attached. */
__u32 egress_ifindex;

/*
 * When the newest message that each replica has answered was sent. Handlers on
 * several processors may write one at the same time: either time is true.
 */
__u64 answered[MAX_MEMBERS];
/*
 * held is the time of the last look at the clock that found the lease holding. What is
 * stamped from now on has moment at least, so that less than held means sent before
 * that look: see overdue_since in replica.h.
 */
__u64 moment;
__u64 held;

/* The last sequence number given out, alone on its cache line. */
struct sequence {
	__u64 last;
	__u64 unused[7];
} __attribute__((aligned(64)));

struct sequence sequence;

/*
 * A slot of the session table holds the session's last write, so the table is
 * also the table of pending writes. Key: slot number, written by the handlers.
 * The lock orders every change but one: acknowledgements change word alone, by
 * compare-and-swap, and only while the write is pending, when no holder of the
 * lock writes word. The gate reads word without the lock.
 */
struct session_entry {
	struct bpf_spin_lock lock;
	__u32 tick;
	/* seq << 16 | acknowledging set; 0: no write in this epoch yet. */
	__u64 word;
	__u64 owner;
	__u64 nonce;
	__u64 request;
	__u64 key_hash;
	__u32 digest;
	/* op << 24 | the epoch of settled_seq. */
	__u32 op_and_epoch;
	/* The version of the owner's last request, if that is of an earlier epoch. */
	__u64 settled_seq;
};

#define OP_AND_EPOCH(op, epoch) ((__u32)(op) << 24 | (epoch))
#define ENTRY_OP(e) ((e)->op_and_epoch >> 24)
#define SETTLED_EPOCH(e) ((e)->op_and_epoch & 0xFFFFFF)

_Static_assert(sizeof(struct session_entry) == 64, "a session entry is one cache line");

/* Memory that could be mapped starts on a page, so entries fill cache lines. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct session_entry);
} sessions SEC(".maps");

#define ACKS_COMMITTED 0xFFFFULL
#define ACKS(word) ((word) & 0xFFFF)
#define SEQ(word) ((word) >> 16)
#define WORD(seq, acks) ((seq) << 16 | (acks))

/* Says whether the write in the word waits for acknowledgements. */
static __always_inline int is_pending(__u64 word)
{
	return word && ACKS(word) != ACKS_COMMITTED;
}

/*
 * The index of the lowest member of a set that has one: the four highest bits of
 * this de Bruijn sequence are different after each shift.
 */
#define DE_BRUIJN 0x09AF

const __u8 de_bruijn_index[MAX_MEMBERS] = { 0, 1, 2, 5, 3, 9, 6, 11, 15, 4, 8, 10, 14, 7, 13, 12 };

static __always_inline __u32 lowest(__u32 set)
{
	return de_bruijn_index[(__u16)((set & -set) * DE_BRUIJN) >> 12];
}

/* One set for each processor, written without atomics by the data plane only. */
struct counters {
	__u64 drops[REASON_COUNT];
	__u64 actions[ACTION_COUNT];
	__u64 activities[ACTIVITY_COUNT];
	/* Reads forwarded to each replica index, hops included. */
	__u64 reads[MAX_MEMBERS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/*
 * What reaches the clone program, as metadata in front of the frame. A frame for
 * one receiver has no targets, and the device's index for a nonce.
 */
struct multicast {
	__u32 nonce;
	__u16 targets;
	__u16 unused;
};

/* How the clones of one multicast are told apart; see multicast.h. */
struct multicast_state {
	__u32 last_nonce;
	__u32 nonce;
	__u32 remaining;
};

/* Key: the number of the device that copies leave by, 0 if it is the only one. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_DEVICES);
	__type(key, __u32);
	__type(value, struct multicast_state);
} multicasts SEC(".maps");

/*
 * An entry for each member, for the device that it is reached by; kept by the
 * control plane. Key: the member's index.
 */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, MAX_MEMBERS);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} group SEC(".maps");

/*
 * The devices for frames that have one receiver, if there are several devices;
 * kept by the control plane. Key: number. The kernel runs one program on all that
 * a processor queues for a device, so these entries name the same as the group's.
 */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, MAX_DEVICES);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} exits SEC(".maps");

/* The number of each device, by its index in the kernel; kept by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_DEVICES);
	__type(key, __u32);
	__type(value, __u32);
} device_numbers SEC(".maps");

/* A client's host, or the last router on the way from it. */
struct station {
	__be32 ip;
	__be16 mac[3];
	__u16 unused;
};

/*
 * The number of the device by which a host's last request came, if there are
 * several devices; written by the handlers. It is no part of the protocol's
 * state: an answer for a host that was forgotten is lost, and its client's retry
 * makes the host known again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct station);
	__type(value, __u32);
} stations SEC(".maps");

/* Types that the object must describe although no map or variable has them. */
struct wire_types {
	struct message message;
	enum message_type message_type;
	enum op op;
	enum status status;
	enum drop_reason drop_reason;
	enum action action;
	enum activity activity;
	struct multicast multicast;
};

const volatile struct wire_types wire_types;

#endif
