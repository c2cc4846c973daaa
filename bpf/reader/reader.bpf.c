//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The read path of a replica, as an XDP program on its device: a Read whose key is
 * in the table is answered here, and everything else is left to the replica's
 * process. spec/ReadPath.tla has it step by step, and shows that it is the action
 * HandleRead of the specification.
 *
 *   state.h   what is shared with the process, and counters
 *   packet.h  from a frame to a message, and back
 */
#include "packet.h"

/* Where a test has the process take steps, while the program is between two of its own. */
#ifndef STEP
#define STEP(point)
#endif

char LICENSE[] SEC("license") = "GPL";

/* A record, but for the payload, as it was at one moment. */
struct record {
	__u32 key_len;
	__u32 value_len;
	__be32 version_epoch;
	__be32 digest;
	__be64 seq;
	__be64 writer;
};

/*
 * A read that the gate has held back this often is left to the process. It is of a
 * write whose acknowledgements are on their way, or wait at the process to be
 * handled with the batch: here it would be answered, held back and sent round again
 * hundreds of times meanwhile, where at the process it waits behind them.
 */
#define MAX_HOPS_ANSWERED 4

/* Finds the cell that may have the key. */
static __always_inline struct cell *find_cell(__be64 key_hash)
{
	__u64 hash = bpf_be64_to_cpu(key_hash);
	__u32 index = hash & set_mask, way = WAYS, tag = hash >> 32;
	struct set *set = bpf_map_lookup_elem(&sets, &index);

	if (!set)
		return NULL;
	for (__u32 i = 0; i < WAYS; i++) {
		if (READ_ONCE(set->tags[i]) == tag) {
			way = i;
			break;
		}
	}
	if (way >= WAYS)
		return NULL;
	return (void *)set->cells + way * (sizeof(struct cell) + room);
}

/*
 * Copies a cell. What is copied was there at one moment if the sequence is even
 * and the same before and after. A copy is looked at only then, and the frame
 * changed only after that, so there is never anything to undo.
 */
static __always_inline enum passed copy_cell(const struct packet *p, struct cell *c, struct record *r, struct scratch *to)
{
	__u32 sequence = READ_ONCE(c->sequence), len, words;

	in_order();
	STEP(2);
	if (c->key_hash != p->message->key_hash || c->replica != p->message->replica ||
	    c->key_len != p->key_len)
		return PASSED_ABSENT;
	r->key_len = c->key_len;
	r->value_len = c->value_len;
	r->version_epoch = c->version_epoch;
	r->digest = c->digest;
	r->seq = c->seq;
	r->writer = c->writer;
	len = r->key_len + r->value_len;
	if (len > room || len > MAX_ROOM)
		return PASSED_CHANGING;
	/*
	 * A number of its own: of the length itself the verifier would learn something
	 * else with each round, and follow all of them to the end.
	 */
	words = (len + 7) / 8;
	asm volatile("" : "+r"(words));
	for (__u32 i = 0; i < MAX_ROOM / 8; i++) {
		if (i >= words)
			break;
		if (i == 3)
			STEP(3);
		to->payload[i] = c->payload[i];
	}
	in_order();
	STEP(4);
	if (sequence & 1 || READ_ONCE(c->sequence) != sequence)
		return PASSED_CHANGING;
	if (!READ_ONCE(c->used))
		WRITE_ONCE(c->used, 1);
	return PASSED_NONE;
}

/* Says whether the copy is of the message's key. */
static __always_inline int is_key(const struct packet *p, const struct scratch *copy)
{
	const void *key = (const void *)(p->message + 1);
	__u32 whole = p->key_len / 8, rest = p->key_len % 8;

	for (__u32 i = 0; i < MAX_KEY_SIZE / 8; i++) {
		const __u64 *word = key + i * 8;

		if (i >= whole)
			break;
		if ((void *)(word + 1) > p->end || *word != copy->payload[i])
			return 0;
	}
	if (!rest)
		return 1;
	/* The word that ends with the key, of which the upper bytes are the key's. */
	key += p->key_len;
	if (key > p->end)
		return 0;
	return !((*(const __u64 *)(key - 8) ^ *(const __u64 *)((const void *)copy->payload + p->key_len - 8)) >> (64 - rest * 8));
}

/*
 * HandleRead: the membership is looked at before and after the record, so that
 * there was a moment at which the replica was that member and held that record.
 */
static __always_inline enum passed handle_read(struct packet *p)
{
	struct record r = {};
	struct scratch *copy;
	struct message *m;
	struct cell *c;
	__u64 *member, seen;
	enum passed why;
	__u32 zero = 0, len;
	void *data;

	member = bpf_map_lookup_elem(&view, &zero);
	copy = bpf_map_lookup_elem(&scratches, &zero);
	if (!member || !copy)
		return PASSED_CLOSED;
	if (p->message->hops > MAX_HOPS_ANSWERED)
		return PASSED_GATED;
	STEP(0);
	seen = READ_ONCE(*member);
	if (!seen || seen != *(__be64 *)&p->message->epoch)
		return PASSED_CLOSED;
	in_order();
	STEP(1);
	c = find_cell(p->message->key_hash);
	if (!c)
		return PASSED_ABSENT;
	why = copy_cell(p, c, &r, copy);
	if (why)
		return why;
	if (!is_key(p, copy))
		return PASSED_ABSENT;
	STEP(5);
	if (READ_ONCE(*member) != seen)
		return PASSED_CHANGING;
	len = r.key_len + r.value_len;
	/* The verifier is to see these bounds, which the compiler knows. */
	asm volatile("" : "+r"(len));
	if (!len || len > MAX_ROOM || !make_room(p, r.value_len))
		return PASSED_ROOM;

	data = (void *)(long)p->ctx->data;
	if (data + MESSAGE_END > (void *)(long)p->ctx->data_end)
		return PASSED_ROOM;
	m = data + HEADERS_SIZE;
	turn_round(data, data + sizeof(struct ethhdr), data + sizeof(struct ethhdr) + sizeof(struct iphdr), len);
	m->type = MESSAGE_READ_REPLY;
	m->op = OP_PUT;
	m->version_epoch = r.version_epoch;
	m->digest = r.digest;
	m->seq = r.seq;
	m->writer = r.writer;
	m->value_len = bpf_htons(r.value_len);
	bpf_xdp_store_bytes(p->ctx, MESSAGE_END, copy->payload, len);
	return PASSED_NONE;
}

SEC("xdp")
int replica_reads(struct xdp_md *ctx)
{
	struct packet p = {};
	enum passed fate;
	__u64 *met;
	int found;

	found = parse(ctx, &p);
	if (found == NOT_OURS)
		return XDP_PASS;
	fate = found ? found : (int)handle_read(&p);
	met = bpf_map_lookup_elem(&fates, &fate);
	if (met)
		++*met;
	return fate == PASSED_NONE ? XDP_TX : XDP_PASS;
}
