/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Fetching ahead on a veth device: the driver has its receive thread take one frame
 * after the other from a ring of pointers, and asks the processor for none before its
 * turn. Where frames were written by another processor that is two waits for each, one
 * for the kernel's description of the frame and then one for the frame itself.
 *
 * What is looked at belongs to the receive thread that runs the program: nobody else
 * takes frames from the ring. Names and places are those of the running kernel, found
 * when the program is loaded, which fails where they are not known. Loads go through the
 * kernel's own check of addresses, so that a wrong one gives 0, and nothing is written.
 */
#ifndef DALIO_PREFETCH_H
#define DALIO_PREFETCH_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/*
 * So many frames are asked for together: the waits are then one wait, and a processor
 * has as many loads in flight as this makes. The ring's slots come eight to a cache line.
 */
#define BATCH 8
#define CACHE_LINE 64
/* What a slot has in its lowest bit if it points to a struct xdp_frame. */
#define IS_FRAME 1ULL

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct xdp_rxq_info {
	__u32 queue_index;
};

struct xdp_buff {
	struct xdp_rxq_info *rxq;
};

struct xdp_frame {
	void *data;
};

struct ptr_ring {
	int consumer_head;
	int size;
	void **queue;
};

struct veth_rq {
	struct ptr_ring xdp_ring;
	struct xdp_rxq_info xdp_rxq;
};

/* For its first field, a whole word: there is no type for a word alone. */
struct timespec64 {
	long long tv_sec;
};
#pragma clang attribute pop

extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym;
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym;

#define AT(type, address) \
	((struct type *)bpf_rdonly_cast((const void *)(address), bpf_core_type_id_kernel(struct type)))

static __always_inline __u64 word_at(__u64 address)
{
	return AT(timespec64, address)->tv_sec;
}

/* Has the compiler load what it would leave out, because nobody uses it. */
static __always_inline void load(__u64 value)
{
	asm volatile("" ::"r"(value));
}

/* A test takes note of what is fetched. */
#ifndef FETCHED
#define FETCHED(what, address) load(word_at(address))
#endif

enum fetched {
	FETCHED_DESCRIPTION,
	FETCHED_FIRST_LINE,
	FETCHED_SECOND_LINE,
};

/* The ring that the frame in ctx was taken from. */
static __always_inline struct ptr_ring *ring_of(struct xdp_md *ctx)
{
	struct xdp_buff *buff = bpf_cast_to_kern_ctx(ctx);
	__u64 queue = (__u64)buff->rxq - bpf_core_field_offset(struct veth_rq, xdp_rxq);

	return AT(ptr_ring, queue + bpf_core_field_offset(struct veth_rq, xdp_ring));
}

static __always_inline int is_frame(__u64 entry)
{
	return (entry & IS_FRAME) != 0;
}

static __always_inline __u64 description_of(__u64 entry)
{
	return entry & ~IS_FRAME;
}

/*
 * Every BATCH frames, asks for the first two lines of the next ones, whose descriptions
 * were asked for the last time, and for the descriptions of those behind. Frames that the
 * kernel will copy before the program sees them are left out.
 */
static __always_inline void fetch_ahead(struct xdp_md *ctx)
{
	struct ptr_ring *ring = ring_of(ctx);
	__u32 next = ring->consumer_head, size, behind;
	__u64 slots, entry, data;

	if (next % BATCH)
		return;
	size = ring->size;
	/* A batch lies in the ring in one piece. */
	if (size % BATCH)
		return;
	behind = next + BATCH < size ? next + BATCH : 0;
	slots = (__u64)ring->queue;
#pragma unroll
	for (int i = 0; i < BATCH; i++) {
		entry = word_at(slots + (next + i) * sizeof(entry));
		if (!is_frame(entry))
			continue;
		data = (__u64)AT(xdp_frame, description_of(entry))->data;
		FETCHED(FETCHED_FIRST_LINE, data);
		FETCHED(FETCHED_SECOND_LINE, data + CACHE_LINE);
	}
#pragma unroll
	for (int i = 0; i < BATCH; i++) {
		entry = word_at(slots + (behind + i) * sizeof(entry));
		if (is_frame(entry))
			FETCHED(FETCHED_DESCRIPTION, description_of(entry));
	}
}

#endif
