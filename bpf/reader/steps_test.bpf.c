//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The program with the process's steps between its own, at the points and in the
 * order that a test says.
 */
#include "state.h"

#define POINTS 6
#define WORDS 26
/* Where a cell's head ends: what the process writes of it before the payload. */
#define HEAD_WORDS 6

/* How many steps the process has taken when the program comes to each point. */
__u8 until[POINTS];
__u32 taken;
/* The cell that it changes, with room for WORDS words, and what it writes into it. */
__u32 index_of_set;
__u32 way;
__u64 written[HEAD_WORDS + WORDS];
/* The membership before and after. */
__be64 next_view;
/* Whether the membership changes, too: it ends before the record changes. */
__u32 membership_too;

static __always_inline void write_words(struct cell *c, __u32 from, __u32 to)
{
	__u64 *words = (__u64 *)c;

	for (__u32 i = from; i < to && i < HEAD_WORDS + WORDS; i++)
		WRITE_ONCE(words[i], written[i]);
}

/* Takes the process's steps up to that one: what Table does, in its order. */
__noinline int take_steps(__u32 until_step)
{
	__u32 zero = 0, index = index_of_set;
	struct set *s = bpf_map_lookup_elem(&sets, &index);
	__be64 *member = bpf_map_lookup_elem(&view, &zero);
	struct cell *c;

	if (!s || !member)
		return 0;
	c = (void *)s->cells + (way % WAYS) * (sizeof(struct cell) + WORDS * 8);
	for (int i = 0; i < 8 && taken < until_step; i++) {
		switch (taken++) {
		case 0:
			if (membership_too)
				WRITE_ONCE(*member, 0);
			break;
		case 1:
			WRITE_ONCE(c->sequence, c->sequence + 1);
			break;
		case 2:
			write_words(c, 1, HEAD_WORDS);
			break;
		case 3:
			write_words(c, HEAD_WORDS, HEAD_WORDS + 4);
			break;
		case 4:
			write_words(c, HEAD_WORDS + 4, HEAD_WORDS + WORDS);
			break;
		case 5:
			WRITE_ONCE(c->sequence, c->sequence + 1);
			break;
		case 6:
			if (membership_too)
				WRITE_ONCE(*member, next_view);
			break;
		}
	}
	return 0;
}

#define STEP(point) take_steps(until[point])
#include "reader.bpf.c"
