/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Handlers of what replicas send. */
#ifndef DALIO_REPLICA_H
#define DALIO_REPLICA_H

#include "client.h"

/* Attempts at a compare-and-swap; each failure means that another one got on. */
#ifndef MAX_SWAPS
#define MAX_SWAPS 16
#endif

/* Without it, a demonstration of what the gate is for; never in what is shipped. */
#ifdef DALIO_WITHOUT_GATE
#define HAS_GATE 0
#else
#define HAS_GATE 1
#endif

/*
 * HandleWriteAck: compare, add and commit are one step, a compare-and-swap of
 * the word. Just one acknowledgement swaps in the committed word, and it is the
 * one that answers the writer. No lock is needed: a slot's word changes to
 * another write's only after it was committed, and seq in the word only grows,
 * so a swap that succeeds was of this write.
 */
static __always_inline enum drop_reason handle_write_ack(struct packet *p)
{
	struct message *m = p->message;
	enum drop_reason reason = check_replica(p);
	__u64 seq = bpf_be64_to_cpu(m->seq), word, next;
	struct endpoint client = endpoint_of(&m->client);
	struct session_entry *e;
	__u32 device;
	int i;

	if (reason)
		return reason;
	if (p->key_len || p->value_len)
		return REASON_BAD_REPLY;
	if (bpf_ntohl(m->version_epoch) != p->view->epoch)
		return REASON_STALE_ACK;
	e = slot_of(bpf_be64_to_cpu(m->writer));
	if (!e)
		return REASON_BAD_SESSION;
	for (i = 0; i < MAX_SWAPS; i++) {
		word = READ_ONCE(e->word);
		note_word(p, word, 0);
		if (SEQ(word) != seq || !seq)
			return REASON_STALE_ACK;
		if (ACKS(word) == ACKS_COMMITTED)
			return REASON_LATE_ACK;
		next = word | 1ULL << (bpf_ntohl(m->replica) % MAX_MEMBERS);
		if (covers(p, next))
			next |= ACKS_COMMITTED;
		if (__sync_val_compare_and_swap(&e->word, word, next) == word)
			break;
	}
	if (i == MAX_SWAPS)
		return REASON_CONTENDED;
	note_word(p, next, next != word);
	if (ACKS(next) != ACKS_COMMITTED)
		return REASON_ACKNOWLEDGED;
	count(p, ACTIVITY_COMMITS);
	if (!is_valid(client))
		return REASON_UNCLAIMED;
	if (!locate(p, client, &device))
		return REASON_INTERNAL;
	return answer_write(p, client, device, STATUS_OK, seq);
}

/*
 * Makes the gated reply the Write of its own version, as it holds the value, for
 * the members that have not acknowledged it. The request id and digest are
 * those of the entry, read under its lock: they must be of this same write.
 */
static __always_inline enum drop_reason redrive(struct packet *p, struct session_entry *e,
						__u64 seq)
{
	struct endpoint nobody = {};
	struct message *m = p->message;
	__u64 word, request;
	__u32 digest;

	bpf_spin_lock(&e->lock);
	word = READ_ONCE(e->word);
	request = e->request;
	digest = e->digest;
	note_word(p, word, 0);
	bpf_spin_unlock(&e->lock);
	p->targets = p->view->members & ~ACKS(word);
	if (SEQ(word) != seq || ACKS(word) == ACKS_COMMITTED || !p->targets)
		return REASON_GATED;
	count(p, ACTIVITY_REDRIVEN);
	m->attempt = 0;
	m->session = m->writer;
	m->request = bpf_cpu_to_be64(request);
	m->digest = bpf_htonl(digest);
	make_write(p, nobody, seq);
	return REASON_NONE;
}

/* Returns the lowest index of the set above i, else the lowest of all. */
static __always_inline __u32 next_member(__u32 set, __u32 i)
{
	__u32 above = set >> 1 >> i << i << 1;

	return lowest(above ? above : set);
}

/*
 * What becomes of a reply whose version is pending: the read goes to a member
 * that has not acknowledged the version and may hold the committed one before
 * it. After MAX_HOPS, or with no such member left, the reply re-drives the
 * write, whose writer may be gone.
 */
static __always_inline enum drop_reason gate(struct packet *p, struct session_entry *e, __u64 word)
{
	__u32 behind = p->view->serving & ~ACKS(word);
	struct message *m = p->message;

	count(p, ACTIVITY_GATED);
	if (m->hops >= MAX_HOPS || !behind)
		return redrive(p, e, SEQ(word));
	count(p, ACTIVITY_HOPS);
	m->hops++;
	return forward_read(p, next_member(behind, bpf_ntohl(m->replica) % MAX_MEMBERS));
}

/*
 * Says whether some member has not answered anything sent within the lease, and
 * which has been silent for the longest time. It may have been fenced by a
 * coordinator that has taken over, whose writes are not known here.
 */
static __always_inline int lease_expired(struct packet *p, __u32 *overdue)
{
	__u64 now = clock(), earliest = ~0ULL;

	if (now <= READ_ONCE(p->view->lease_until))
		return 0;
	*overdue = 0;
	for (__u32 i = 0; i < MAX_MEMBERS; i++) {
		__u64 at = READ_ONCE(answered[i]);

		if (p->view->members >> i & 1 && at < earliest) {
			earliest = at;
			*overdue = i;
		}
	}
	if (earliest == ~0ULL)
		return 0;
	WRITE_ONCE(p->view->lease_until, earliest + lease);
	return now > earliest + lease;
}

/*
 * Says the same unless the lease has held at some moment after the read was sent: no
 * later epoch was open then, so the value lacks nothing that was committed before the
 * read. A look at the clock counts for all reads that were sent before it.
 *
 * What is stamped with less than held must have been stamped before the lease was
 * looked at, on any processor. So moment is raised first, by a swap which is a barrier,
 * and the clock is asked again. If another processor raises moment meanwhile, and by
 * less, this look counts for this read alone. Two that end in the other order take
 * held back, which costs a look.
 */
static __always_inline int overdue_since(struct packet *p, __u64 sent, __u32 *overdue)
{
	__u64 now, before;
	int announced;

	if (sent < READ_ONCE(held))
		return 0;
	now = clock();
	before = READ_ONCE(moment);
	announced = before >= now;
	if (!announced) {
		__u64 found = __sync_val_compare_and_swap(&moment, before, now);

		announced = found == before || found >= now;
	}
	if (lease_expired(p, overdue))
		return 1;
	if (announced)
		WRITE_ONCE(held, now);
	return 0;
}

/*
 * Sends the read to a member that is overdue: its answer renews the lease. A member
 * that joins may not have caught up, but serve by the time its answer is here: only
 * what it is asked while it serves may be released.
 */
static __always_inline enum drop_reason ask_overdue(struct packet *p, __u32 overdue)
{
	if (p->message->hops >= MAX_HOPS || !(p->view->serving >> (overdue % MAX_MEMBERS) & 1))
		return REASON_LEASE_EXPIRED;
	count(p, ACTIVITY_OVERDUE);
	p->message->hops++;
	return forward_read(p, overdue);
}

/* Answers a probe, with OK if values may be released. */
static __always_inline enum drop_reason answer_probe(struct packet *p)
{
	struct endpoint from = sender(p);
	__u64 sent = p->message->sent;
	__u32 overdue;

	if (p->key_len || p->value_len || !is_valid(from))
		return REASON_BAD_REQUEST;
	count(p, ACTIVITY_PROBED);
	put_epoch(p);
	respond(p, MESSAGE_PROBE_REPLY, lease && lease_expired(p, &overdue) ? STATUS_BUSY : STATUS_OK);
	p->message->replica = 0;
	p->message->sent = sent;
	return transmit(p, from, p->ingress, 0);
}

/* Has a replica's answer to a probe renew the lease, and leaves it to the host. */
static __always_inline int take_probe_reply(struct packet *p)
{
	enum drop_reason reason = check_replica(p);

	if (reason)
		return reason;
	count(p, ACTIVITY_PROBE_REPLIES);
	return NOT_OURS;
}

/*
 * HandleReadReply: the gate. Whether the version is committed is one read of the
 * slot's word, without the lock: what was committed stays so, and a word that
 * moved on to a newer write proves that this one was.
 */
static __always_inline enum drop_reason handle_read_reply(struct packet *p)
{
	struct message *m = p->message;
	enum drop_reason reason = check_replica(p);
	__u32 version_epoch = bpf_ntohl(m->version_epoch);
	__u64 seq = bpf_be64_to_cpu(m->seq);
	struct endpoint client = endpoint_of(&m->client);
	__u32 device, overdue;

	if (reason)
		return reason;
	if (!p->key_len || p->key_len > MAX_KEY_SIZE || m->op > OP_DELETE ||
	    !version_epoch != !seq || version_epoch > p->view->epoch || !is_valid(client))
		return REASON_BAD_REPLY;
	if (!(p->view->serving >> (bpf_ntohl(m->replica) % MAX_MEMBERS) & 1))
		return REASON_NOT_SERVING;
	if (HAS_GATE && version_epoch == p->view->epoch) {
		struct session_entry *e = slot_of(bpf_be64_to_cpu(m->writer));
		__u64 word;

		if (!e)
			return REASON_BAD_SESSION;
		word = READ_ONCE(e->word);
		note_word(p, word, 0);
		if (SEQ(word) < seq)
			return REASON_UNKNOWN_VERSION;
		if (SEQ(word) == seq && is_pending(word) && !(covers(p, word) && commit_covered(p, e, word)))
			return gate(p, e, word);
	}
	if (lease && overdue_since(p, bpf_be64_to_cpu(m->sent), &overdue))
		return ask_overdue(p, overdue);
	count(p, ACTIVITY_RELEASED);
	if (!locate(p, client, &device))
		return REASON_INTERNAL;
	respond(p, MESSAGE_READ_RESPONSE, STATUS_OK);
	return transmit(p, client, device, p->key_len + p->value_len);
}

#endif
