/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Handlers of what clients send. */
#ifndef DALIO_CLIENT_H
#define DALIO_CLIENT_H

#include "multicast.h"

#define SLOT_BITS 24
#define COUNT_BITS 16
#define MAX_COUNT ((1ULL << COUNT_BITS) - 1)
#define EPOCH_MASK 0xFFFFFFULL

/* Returns the slot of a session, or NULL if the table has no such slot. */
static __always_inline struct session_entry *slot_of(__u64 session)
{
	__u32 slot = session & ((1 << SLOT_BITS) - 1);

	if (slot >= max_sessions)
		return NULL;
	return bpf_map_lookup_elem(&sessions, &slot);
}

/*
 * Returns the id that an open may give to the slot, or 0. A slot with a pending
 * write is never free: the gate would take its version for committed as soon as
 * a newer write stood in its place.
 */
static __always_inline __u64 next_session(const struct session_entry *e, __u32 slot, __u32 epoch)
{
	__u64 owner = READ_ONCE(e->owner), session_count = 1;

	if (owner) {
		if (is_pending(READ_ONCE(e->word)) || tick - e->tick < session_ttl)
			return 0;
		if (owner >> (SLOT_BITS + COUNT_BITS) == (epoch & EPOCH_MASK))
			session_count = (owner >> SLOT_BITS & MAX_COUNT) + 1;
		if (session_count > MAX_COUNT)
			return 0;
	}
	return (epoch & EPOCH_MASK) << (SLOT_BITS + COUNT_BITS) | session_count << SLOT_BITS | slot;
}

/* Returns the session that the nonce opened and that has not written, or 0. */
static __always_inline __u64 find_opened(struct packet *p, __u64 nonce)
{
	for (__u32 i = 0; i < OPEN_WINDOW && i < max_sessions; i++) {
		__u32 slot = (nonce + i) & (max_sessions - 1);
		struct session_entry *e = bpf_map_lookup_elem(&sessions, &slot);
		__u64 owner = 0;

		if (!e || READ_ONCE(e->nonce) != nonce)
			continue;
		bpf_spin_lock(&e->lock);
		if (e->nonce == nonce && !e->request)
			owner = e->owner;
		note_word(p, e->word, 0);
		note_owner(p, owner, 0);
		bpf_spin_unlock(&e->lock);
		if (owner)
			return owner;
	}
	return 0;
}

/* Gives the nonce a new session in the first free slot of its window, or 0. */
static __always_inline __u64 open_session(struct packet *p, __u64 nonce, __u32 epoch)
{
	for (__u32 i = 0; i < OPEN_WINDOW && i < max_sessions; i++) {
		__u32 slot = (nonce + i) & (max_sessions - 1);
		struct session_entry *e = bpf_map_lookup_elem(&sessions, &slot);
		__u64 session;

		if (!e || !next_session(e, slot, epoch))
			continue;
		bpf_spin_lock(&e->lock);
		session = next_session(e, slot, epoch);
		if (session) {
			e->owner = session;
			e->nonce = nonce;
			e->request = 0;
			e->tick = tick;
			note_word(p, e->word, 0);
			note_owner(p, session, 1);
		}
		bpf_spin_unlock(&e->lock);
		if (session)
			return session;
	}
	return 0;
}

/*
 * HandleOpenRequest: one slot is checked and taken in one step, under its lock.
 * The window as a whole is not locked: copies of one request that are handled
 * at the same time may open two sessions, of which the client uses one and the
 * other stays unused until it is reclaimed.
 */
static __always_inline enum drop_reason handle_open_request(struct packet *p)
{
	__u64 nonce = bpf_be64_to_cpu(p->message->request), session;
	struct endpoint from = sender(p);
	enum activity activity = ACTIVITY_REOPENED;

	if (!nonce || p->key_len || p->value_len || !is_valid(from))
		return REASON_BAD_REQUEST;
	session = find_opened(p, nonce);
	if (!session) {
		session = open_session(p, nonce, p->view->epoch);
		activity = session ? ACTIVITY_OPENED : ACTIVITY_OPEN_BUSY;
	}
	count(p, activity);
	put_epoch(p);
	respond(p, MESSAGE_OPEN_RESPONSE, session ? STATUS_OK : STATUS_BUSY);
	p->message->session = bpf_cpu_to_be64(session);
	return transmit(p, from, p->ingress, 0);
}

/* Says whether the acknowledging set in the word covers the members there are now. */
static __always_inline int covers(const struct packet *p, __u64 word)
{
	return p->view->members && !(p->view->members & ~ACKS(word));
}

/*
 * Gives the slot to a session of an earlier epoch of which nothing was recovered,
 * so that nothing it has written can have been committed. Runs under the lock.
 */
static __always_inline int adopt(struct packet *p, struct session_entry *e, __u64 session, __u64 word)
{
	if (session >> (SLOT_BITS + COUNT_BITS) >= (p->view->epoch & EPOCH_MASK) ||
	    session < e->owner || is_pending(word))
		return 0;
	e->owner = session;
	e->nonce = 0;
	e->request = 0;
	return 1;
}

/*
 * Commits a write whose acknowledging set covers the members since one was
 * removed. Returns 0 if another processor was faster.
 */
static __always_inline int commit_covered(struct packet *p, struct session_entry *e, __u64 word)
{
	if (__sync_val_compare_and_swap(&e->word, word, word | ACKS_COMMITTED) != word)
		return 0;
	count(p, ACTIVITY_COMMITS);
	count(p, ACTIVITY_COVERED);
	note_word(p, word | ACKS_COMMITTED, 1);
	return 1;
}

/*
 * Compares the request with the session's last one and enters it if it is new.
 * Says what to do, and leaves the word of the write in *word. Runs under the
 * session's lock; the entry is filled before its word is published.
 */
static __always_inline enum activity decide_write(struct packet *p, struct session_entry *e,
						  __u64 *word, int *adopted)
{
	struct message *m = p->message;
	__u64 request = bpf_be64_to_cpu(m->request), key_hash = bpf_be64_to_cpu(m->key_hash);
	__u64 session = bpf_be64_to_cpu(m->session);
	__u32 digest = bpf_ntohl(m->digest);
	__u64 seq;

	*word = READ_ONCE(e->word);
	note_owner(p, e->owner, 0);
	if (e->owner != session) {
		if (!adopt(p, e, session, *word))
			return ACTIVITY_EXPIRED;
		*adopted = 1;
		note_owner(p, session, 1);
	}
	/* Nothing is done for a stale request, and no activity stands for it. */
	if (request < e->request)
		return ACTIVITY_COUNT;
	e->tick = tick;
	if (request == e->request) {
		if (ENTRY_OP(e) != m->op || e->key_hash != key_hash || e->digest != digest)
			return ACTIVITY_REFUSED;
		if (!is_pending(*word))
			return ACTIVITY_REPEATED;
		if (covers(p, *word))
			return ACTIVITY_COVERED;
		return p->view->members ? ACTIVITY_RETRIED : ACTIVITY_WRITE_BUSY;
	}
	if (is_pending(*word))
		return ACTIVITY_WRITE_BUSY;
	if (p->view->too_few)
		return ACTIVITY_TOO_FEW;
	if (!p->view->members || READ_ONCE(sequence.last) >= MAX_SEQ)
		return ACTIVITY_WRITE_BUSY;
	seq = __sync_fetch_and_add(&sequence.last, 1) + 1;
	/* Other processors may have taken the last numbers since the check. */
	if (seq > MAX_SEQ)
		return ACTIVITY_WRITE_BUSY;
	e->request = request;
	e->op_and_epoch = OP_AND_EPOCH(m->op, SETTLED_EPOCH(e));
	e->key_hash = key_hash;
	e->digest = digest;
	*word = WORD(seq, 0);
	WRITE_ONCE(e->word, *word);
	return ACTIVITY_SEQUENCED;
}

/*
 * HandleWriteRequest: compare, sequence, fill and publish are one step, under
 * the session's lock; the number is taken by fetch-and-add. The multicast comes
 * after, so no replica holds a version that the gate does not know as pending.
 */
static __always_inline enum drop_reason handle_write_request(struct packet *p)
{
	enum activity activity = ACTIVITY_EXPIRED;
	struct endpoint from = sender(p);
	struct message *m = p->message;
	struct session_entry *e;
	__u32 settled_epoch = 0;
	__u64 word = 0, settled_seq = 0;
	int adopted = 0;

	if (is_bad_request(p) || (m->op != OP_PUT && m->op != OP_DELETE) ||
	    (m->op == OP_DELETE && p->value_len) || !m->session)
		return REASON_BAD_REQUEST;
	if (bpf_be64_to_cpu(m->session) >> (SLOT_BITS + COUNT_BITS) > (p->view->epoch & EPOCH_MASK))
		return REASON_FUTURE_EPOCH;
	e = slot_of(bpf_be64_to_cpu(m->session));
	if (e) {
		bpf_spin_lock(&e->lock);
		activity = decide_write(p, e, &word, &adopted);
		settled_epoch = SETTLED_EPOCH(e);
		settled_seq = e->settled_seq;
		bpf_spin_unlock(&e->lock);
	}
	if (e)
		note_word(p, word, activity == ACTIVITY_SEQUENCED);
	if (adopted)
		count(p, ACTIVITY_ADOPTED);
	if (activity == ACTIVITY_COUNT)
		return REASON_STALE_REQUEST;
	if (activity != ACTIVITY_COVERED)
		count(p, activity);
	put_epoch(p);
	switch (activity) {
	case ACTIVITY_COVERED:
		if (!commit_covered(p, e, word))
			return REASON_CONTENDED;
		return answer_write(p, from, p->ingress, STATUS_OK, SEQ(word));
	case ACTIVITY_SEQUENCED:
	case ACTIVITY_RETRIED:
		learn(p, from);
		make_write(p, from, SEQ(word));
		p->targets = p->view->members & ~ACKS(word);
		return p->targets ? REASON_NONE : REASON_INTERNAL;
	case ACTIVITY_REPEATED:
		if (!word)
			return answer_write_of(p, from, p->ingress, STATUS_OK, settled_epoch, settled_seq);
		return answer_write(p, from, p->ingress, STATUS_OK, SEQ(word));
	case ACTIVITY_REFUSED:
		return answer_write(p, from, p->ingress, STATUS_REFUSED, 0);
	case ACTIVITY_WRITE_BUSY:
		return answer_write(p, from, p->ingress, STATUS_BUSY, 0);
	case ACTIVITY_TOO_FEW:
		return answer_write(p, from, p->ingress, STATUS_TOO_FEW, 0);
	default:
		return answer_write(p, from, p->ingress, STATUS_EXPIRED, 0);
	}
}

/*
 * HandleReadRequest: relies on no state but the membership, of which a frame
 * sees one. The choice depends on the request alone: a session's reads go round
 * the serving members, and so do the retries of one read.
 */
static __always_inline enum drop_reason handle_read_request(struct packet *p)
{
	struct message *m = p->message;
	struct endpoint from = sender(p);
	__u32 serving = p->view->serving_count;
	__u64 turn;

	if (is_bad_request(p) || p->value_len)
		return REASON_BAD_REQUEST;
	put_epoch(p);
	if (!serving) {
		count(p, ACTIVITY_READ_BUSY);
		respond(p, MESSAGE_READ_RESPONSE, STATUS_BUSY);
		m->replica = 0;
		m->key_len = 0;
		return transmit(p, from, p->ingress, 0);
	}
	count(p, ACTIVITY_FORWARDED);
	learn(p, from);
	turn = bpf_be64_to_cpu(m->session) + bpf_be64_to_cpu(m->request) + m->attempt;
	m->hops = 0;
	put_address(&m->client, from);
	return forward_read(p, p->view->serving_list[turn % serving % MAX_MEMBERS]);
}

#endif
