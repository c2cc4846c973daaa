//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * For tests: frames with numbers are put into a ring, and note is taken of which are
 * fetched ahead and of which come.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

static void take_note(int what, __u64 address);

#define FETCHED(what, address) take_note(what, address)

#include "prefetch.h"

char LICENSE[] SEC("license") = "GPL";

#define MAX_NOTES 4096
#define SECOND_LINE (1ULL << 32)

struct note {
	__u32 what;
	/* How many frames had come before the one that was being handled. */
	__u32 come;
	/* The number of the frame that was fetched. */
	__u64 number;
};

struct note notes[MAX_NOTES];
__u32 note_count;
/* Of frames that came, and of those that had not the next number. */
__u32 come;
__u32 strange;
/* The number of the next frame that is injected. */
__u64 injected;

static __noinline void take_note(int what, __u64 address)
{
	__u32 i = note_count;

	if (i >= MAX_NOTES)
		return;
	note_count = i + 1;
	if (what == FETCHED_DESCRIPTION)
		address = (__u64)AT(xdp_frame, address)->data;
	notes[i].what = what;
	notes[i].come = come;
	notes[i].number = word_at(address);
	if (what == FETCHED_SECOND_LINE)
		notes[i].number ^= SECOND_LINE;
}

/* Writes the frame's number into its first two lines, which differ, and sends it. */
SEC("xdp")
int inject(struct xdp_md *ctx)
{
	__u64 *line = (void *)(long)ctx->data;

	if ((void *)line + 2 * CACHE_LINE > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	line[0] = injected;
	line[CACHE_LINE / sizeof(*line)] = SECOND_LINE | injected;
	injected++;
	return XDP_TX;
}

SEC("xdp")
int receive(struct xdp_md *ctx)
{
	__u64 *line = (void *)(long)ctx->data;

	if ((void *)(line + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	strange += *line != come;
	come++;
	return XDP_DROP;
}

/* As prefetch, and then receive. */
SEC("xdp")
int prefetch_noting(struct xdp_md *ctx)
{
	fetch_ahead(ctx);
	return receive(ctx);
}
