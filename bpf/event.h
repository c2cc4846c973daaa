/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Protocol events: what each frame that reached a handler was, what became of it,
 * and what it did to the slot that it looked at. docs/traces.md says what they
 * are for.
 *
 * An object is built with them or without. In one that is built without, all of
 * this is nothing, and its instructions are those it would have if there were no
 * events: a switch in a variable would leave the loads of that variable behind.
 */
#ifndef DALIO_EVENT_H
#define DALIO_EVENT_H

#include "packet.h"

#ifdef DALIO_EVENTS
/* What an event tells of the slot. */
#define SLOT_WORD 1	/* word is what the handler found or left */
#define SLOT_CHANGED 2	/* and it is this frame that made it so */
#define SLOT_OWNER 4	/* owner is what the handler found or left */
#define SLOT_TAKEN 8	/* and it is this frame that made it so */

struct event {
	/*
	 * Counts the events of this processor. One that found no room in the ring
	 * leaves a gap, so that no trace is taken for whole that is not.
	 */
	__u64 number;
	/* CLOCK_MONOTONIC, when the frame had been handled. */
	__u64 time;
	__u64 word;
	__u64 owner;
	__u32 processor;
	__u32 epoch;
	__u16 members;
	__u16 serving;
	/* Who the message that leaves is for, if it is multicast. */
	__u16 targets;
	__u8 slot;
	__u8 reason;
	struct address from;
	__u32 unused;
	/* As it came, and as it leaves unless there is a reason to drop it. */
	struct message in;
	struct message out;
};

_Static_assert(sizeof(struct event) == 240, "Go reads an event of 240 bytes");

/* The size is set when the program is loaded. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

/* Where a processor puts its event together; the number stays. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct event);
} event_parts SEC(".maps");

/* Takes down the message as it came. */
static __always_inline void begin_event(struct packet *p)
{
	__u32 zero = 0;
	struct event *e = bpf_map_lookup_elem(&event_parts, &zero);

	p->event = e;
	if (!e)
		return;
	e->in = *p->message;
	put_address(&e->from, sender(p));
	e->slot = 0;
	e->word = 0;
	e->owner = 0;
}

/* Takes down the message as it leaves, and hands the event over. */
static __always_inline void end_event(struct packet *p, int reason)
{
	void *data = (void *)(long)p->ctx->data, *end = (void *)(long)p->ctx->data_end;
	struct message *out = data + HEADERS_SIZE;
	struct event *e = p->event;

	if (!e || e->in.type == MESSAGE_PROBE || e->in.type == MESSAGE_PROBE_REPLY)
		return;
	e->number++;
	e->time = bpf_ktime_get_ns();
	e->processor = bpf_get_smp_processor_id();
	e->epoch = p->view->epoch;
	e->members = p->view->members;
	e->serving = p->view->serving;
	e->targets = p->targets;
	e->reason = reason;
	e->out = (struct message){};
	if (!reason && (void *)(out + 1) <= end)
		e->out = *out;
	bpf_ringbuf_output(&events, e, sizeof(*e), 0);
}

static __always_inline void note_word(struct packet *p, __u64 word, int changed)
{
	if (!p->event)
		return;
	p->event->word = word;
	p->event->slot |= changed ? SLOT_WORD | SLOT_CHANGED : SLOT_WORD;
}

static __always_inline void note_owner(struct packet *p, __u64 owner, int taken)
{
	if (!p->event)
		return;
	p->event->owner = owner;
	p->event->slot |= taken ? SLOT_OWNER | SLOT_TAKEN : SLOT_OWNER;
}

#else
#define IGNORED __attribute__((unused))

static __always_inline void begin_event(IGNORED struct packet *p)
{
}

static __always_inline void end_event(IGNORED struct packet *p, IGNORED int reason)
{
}

static __always_inline void note_word(IGNORED struct packet *p, IGNORED __u64 word, IGNORED int changed)
{
}

static __always_inline void note_owner(IGNORED struct packet *p, IGNORED __u64 owner, IGNORED int taken)
{
}
#endif

#endif
