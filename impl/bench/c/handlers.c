// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include <endian.h>
#include <string.h>

#include "outbox.h"

/* One message in hand. */
struct packet {
	struct coordinator *c;
	struct message *message;
	const struct sockaddr_in *from;
	struct outbox *out;
	uint32_t key_len;
	uint32_t value_len;
};

static inline int is_pending(uint64_t word)
{
	return word && ACKS(word) != ACKS_COMMITTED;
}

/* Sends the message, with payload bytes of key and value, to one receiver. */
static inline enum drop_reason transmit(struct packet *p, in_addr_t ip, in_port_t port, uint32_t payload)
{
	push(p->out, p->message, sizeof(struct message) + payload, ip, port);
	return REASON_NONE;
}

static inline struct address sender(const struct packet *p)
{
	/* A socket does not tell the MAC address; routing finds it again. */
	return (struct address){ .ip = p->from->sin_addr.s_addr, .port = p->from->sin_port };
}

static inline int is_valid(const struct address *a)
{
	return a->ip && a->port;
}

static inline void respond(struct packet *p, enum message_type type, enum status status)
{
	struct message *m = p->message;

	m->type = type;
	m->status = status;
	m->epoch = htobe32(p->c->epoch);
	m->client = (struct address){ 0 };
	m->sent = 0;
}

static inline enum drop_reason answer_write(struct packet *p, const struct address *to,
					    enum status status, uint64_t seq)
{
	struct message *m = p->message;

	respond(p, MESSAGE_WRITE_RESPONSE, status);
	m->replica = 0;
	m->version_epoch = status == STATUS_OK ? htobe32(p->c->epoch) : 0;
	m->writer = status == STATUS_OK ? m->session : 0;
	m->seq = htobe64(seq);
	m->key_len = 0;
	m->value_len = 0;
	return transmit(p, to->ip, to->port, 0);
}

static inline enum drop_reason forward_read(struct packet *p, uint32_t index)
{
	const struct member *to = &p->c->known[index];
	struct message *m = p->message;

	m->type = MESSAGE_READ;
	m->op = OP_NONE;
	m->status = STATUS_NONE;
	m->epoch = htobe32(p->c->epoch);
	m->replica = htobe32(to->id);
	m->version_epoch = 0;
	m->digest = 0;
	m->seq = 0;
	m->writer = 0;
	m->value_len = 0;
	m->sent = 0;
	push_member(p->out, index, &to->address, m, sizeof(*m) + p->key_len);
	return REASON_NONE;
}

/* Sends the message to every target as a Write of one version. */
static enum drop_reason multicast(struct packet *p, const struct address *client, uint64_t seq,
				  uint32_t targets)
{
	size_t length = sizeof(struct message) + p->key_len + p->value_len;
	struct message *m = p->message;

	m->type = MESSAGE_WRITE;
	m->status = STATUS_NONE;
	m->hops = 0;
	m->epoch = htobe32(p->c->epoch);
	m->version_epoch = htobe32(p->c->epoch);
	m->seq = htobe64(seq);
	m->writer = m->session;
	m->client = *client;
	m->sent = 0;
	for (; targets; targets &= targets - 1) {
		uint32_t index = __builtin_ctz(targets);
		const struct member *to = &p->c->known[index];

		/* Copies differ in their replica id; the last one needs no copy. */
		if (targets & (targets - 1))
			m = copy_message(p->out, m, length);
		m->replica = htobe32(to->id);
		push_member(p->out, index, &to->address, m, length);
		m = p->message;
	}
	return REASON_NONE;
}

static inline struct session_entry *slot_of(struct coordinator *c, uint64_t session)
{
	uint32_t slot = session & ((1 << SLOT_BITS) - 1);

	return slot < c->max_sessions ? &c->sessions[slot] : NULL;
}

/* Returns the id that an open may give to the slot, or 0. */
static uint64_t next_session(const struct coordinator *c, uint32_t slot)
{
	const struct session_entry *e = &c->sessions[slot];
	uint64_t owner = e->owner, count = 1, epoch = c->epoch & EPOCH_MASK;

	if (owner) {
		if (is_pending(e->word) || tick - e->tick < c->session_ttl)
			return 0;
		if (owner >> (SLOT_BITS + COUNT_BITS) == epoch)
			count = (owner >> SLOT_BITS & MAX_COUNT) + 1;
		if (count > MAX_COUNT)
			return 0;
	}
	return epoch << (SLOT_BITS + COUNT_BITS) | count << SLOT_BITS | slot;
}

static uint64_t open_session(struct coordinator *c, uint64_t nonce)
{
	uint32_t window = c->max_sessions < OPEN_WINDOW ? c->max_sessions : OPEN_WINDOW;

	for (uint32_t i = 0; i < window; i++) {
		struct session_entry *e = &c->sessions[(nonce + i) & (c->max_sessions - 1)];

		if (e->owner && e->nonce == nonce && !e->request)
			return e->owner;
	}
	for (uint32_t i = 0; i < window; i++) {
		uint32_t slot = (nonce + i) & (c->max_sessions - 1);
		struct session_entry *e = &c->sessions[slot];
		uint64_t session = next_session(c, slot);

		if (!session)
			continue;
		e->owner = session;
		e->nonce = nonce;
		e->request = 0;
		e->tick = tick;
		return session;
	}
	return 0;
}

static enum drop_reason handle_open_request(struct packet *p)
{
	struct address from = sender(p);
	uint64_t session;

	if (!p->message->request || p->key_len || p->value_len || !is_valid(&from))
		return REASON_BAD_REQUEST;
	session = open_session(p->c, be64toh(p->message->request));
	respond(p, MESSAGE_OPEN_RESPONSE, session ? STATUS_OK : STATUS_BUSY);
	p->message->session = htobe64(session);
	return transmit(p, from.ip, from.port, 0);
}

static inline int is_bad_request(const struct packet *p, const struct address *from)
{
	return !p->message->request || !p->key_len || p->key_len > MAX_KEY_SIZE || !is_valid(from);
}

/* Gives the slot to a session of an earlier epoch of which nothing is known. */
static int adopt(struct coordinator *c, struct session_entry *e, uint64_t session)
{
	if (session >> (SLOT_BITS + COUNT_BITS) >= (c->epoch & EPOCH_MASK) || session < e->owner || is_pending(e->word))
		return 0;
	e->owner = session;
	e->nonce = 0;
	e->request = 0;
	return 1;
}

static enum drop_reason handle_write_request(struct packet *p)
{
	struct coordinator *c = p->c;
	struct message *m = p->message;
	struct address from = sender(p);
	struct session_entry *e = slot_of(c, be64toh(m->session));
	uint64_t request = be64toh(m->request), key_hash = be64toh(m->key_hash);
	uint64_t session = be64toh(m->session);
	uint32_t digest = be32toh(m->digest);

	if (is_bad_request(p, &from) || (m->op != OP_PUT && m->op != OP_DELETE) ||
	    (m->op == OP_DELETE && p->value_len))
		return REASON_BAD_REQUEST;
	if (!session)
		return REASON_BAD_REQUEST;
	if (session >> (SLOT_BITS + COUNT_BITS) > (c->epoch & EPOCH_MASK))
		return REASON_FUTURE_EPOCH;
	if (!e || (e->owner != session && !adopt(c, e, session)))
		return answer_write(p, &from, STATUS_EXPIRED, 0);
	if (request < e->request)
		return REASON_STALE_REQUEST;
	e->tick = tick;
	if (request == e->request) {
		if (e->op != m->op || e->key_hash != key_hash || e->digest != digest)
			return answer_write(p, &from, STATUS_REFUSED, 0);
		if (!is_pending(e->word))
			return answer_write(p, &from, STATUS_OK, SEQ(e->word));
		return multicast(p, &from, SEQ(e->word), c->members & ~ACKS(e->word));
	}
	if (is_pending(e->word) || !c->members || c->next_seq >= MAX_SEQ)
		return answer_write(p, &from, STATUS_BUSY, 0);
	e->request = request;
	e->op = m->op;
	e->key_hash = key_hash;
	e->digest = digest;
	e->word = WORD(++c->next_seq, 0);
	return multicast(p, &from, c->next_seq, c->members);
}

/* Admits a replica's message: of this epoch, and from that replica's own address. */
static inline enum drop_reason check_replica(const struct packet *p)
{
	uint32_t message_epoch = be32toh(p->message->epoch), id = be32toh(p->message->replica);
	const struct member *known = &p->c->known[id % MAX_MEMBERS];

	if (message_epoch != p->c->epoch)
		return message_epoch < p->c->epoch ? REASON_STALE_EPOCH : REASON_FUTURE_EPOCH;
	if (!known->id || known->id != id || known->address.sin_addr.s_addr != p->from->sin_addr.s_addr ||
	    known->address.sin_port != p->from->sin_port)
		return REASON_UNKNOWN_REPLICA;
	return REASON_NONE;
}

static enum drop_reason handle_write_ack(struct packet *p)
{
	struct message *m = p->message;
	enum drop_reason reason = check_replica(p);
	uint64_t seq = be64toh(m->seq);
	struct address client = m->client;
	struct session_entry *e;

	if (reason)
		return reason;
	if (p->key_len || p->value_len)
		return REASON_BAD_REPLY;
	if (be32toh(m->version_epoch) != p->c->epoch)
		return REASON_STALE_ACK;
	e = slot_of(p->c, be64toh(m->writer));
	if (!e)
		return REASON_BAD_SESSION;
	if (SEQ(e->word) != seq || !seq)
		return REASON_STALE_ACK;
	if (ACKS(e->word) == ACKS_COMMITTED)
		return REASON_LATE_ACK;
	e->word |= 1ULL << (be32toh(m->replica) % MAX_MEMBERS);
	if (p->c->members & ~ACKS(e->word))
		return REASON_ACKNOWLEDGED;
	e->word |= ACKS_COMMITTED;
	if (!is_valid(&client))
		return REASON_UNCLAIMED;
	return answer_write(p, &client, STATUS_OK, seq);
}

static enum drop_reason handle_read_request(struct packet *p)
{
	struct message *m = p->message;
	struct address from = sender(p);
	uint64_t turn;

	if (is_bad_request(p, &from) || p->value_len)
		return REASON_BAD_REQUEST;
	if (!p->c->serving_count) {
		respond(p, MESSAGE_READ_RESPONSE, STATUS_BUSY);
		m->replica = 0;
		m->key_len = 0;
		return transmit(p, from.ip, from.port, 0);
	}
	turn = be64toh(m->session) + be64toh(m->request) + m->attempt;
	m->hops = 0;
	m->client = from;
	return forward_read(p, p->c->serving_list[turn % p->c->serving_count]);
}

/* Returns the lowest index of the set above i, else the lowest of all. */
static inline uint32_t next_member(uint32_t set, uint32_t i)
{
	uint32_t above = set >> 1 >> i << i << 1;

	return __builtin_ctz(above ? above : set);
}

/* What becomes of a reply whose version, the entry's, is pending. */
static enum drop_reason gate(struct packet *p, struct session_entry *e)
{
	uint32_t behind = p->c->serving & ~ACKS(e->word);
	struct address nobody = { 0 };
	struct message *m = p->message;

	if (m->hops < MAX_HOPS && behind) {
		m->hops++;
		return forward_read(p, next_member(behind, be32toh(m->replica) % MAX_MEMBERS));
	}
	m->attempt = 0;
	m->session = m->writer;
	m->request = htobe64(e->request);
	m->digest = htobe32(e->digest);
	return multicast(p, &nobody, SEQ(e->word), p->c->members & ~ACKS(e->word));
}

static enum drop_reason handle_read_reply(struct packet *p)
{
	struct message *m = p->message;
	enum drop_reason reason = check_replica(p);
	uint32_t version_epoch = be32toh(m->version_epoch);
	uint64_t seq = be64toh(m->seq);
	struct address client = m->client;

	if (reason)
		return reason;
	if (!p->key_len || p->key_len > MAX_KEY_SIZE || m->op > OP_DELETE ||
	    !version_epoch != !seq || version_epoch > p->c->epoch || !is_valid(&client))
		return REASON_BAD_REPLY;
	if (!(p->c->serving >> (be32toh(m->replica) % MAX_MEMBERS) & 1))
		return REASON_NOT_SERVING;
	if (version_epoch == p->c->epoch) {
		struct session_entry *e = slot_of(p->c, be64toh(m->writer));

		if (!e)
			return REASON_BAD_SESSION;
		if (SEQ(e->word) < seq)
			return REASON_UNKNOWN_VERSION;
		if (SEQ(e->word) == seq && is_pending(e->word))
			return gate(p, e);
	}
	respond(p, MESSAGE_READ_RESPONSE, STATUS_OK);
	return transmit(p, client.ip, client.port, p->key_len + p->value_len);
}

static enum drop_reason answer_probe(struct packet *p)
{
	struct address from = sender(p);
	uint64_t sent = p->message->sent;

	if (p->key_len || p->value_len || !is_valid(&from))
		return REASON_BAD_REQUEST;
	respond(p, MESSAGE_PROBE_REPLY, STATUS_OK);
	p->message->replica = 0;
	p->message->sent = sent;
	return transmit(p, from.ip, from.port, 0);
}

enum drop_reason handle(struct coordinator *c, struct message *m, size_t length,
			const struct sockaddr_in *from, struct outbox *out)
{
	struct packet p = { .c = c, .message = m, .from = from, .out = out };

	if (length < sizeof(*m))
		return REASON_BAD_LENGTH;
	p.key_len = be16toh(m->key_len);
	p.value_len = be16toh(m->value_len);
	if (sizeof(*m) + p.key_len + p.value_len != length)
		return REASON_BAD_LENGTH;
	if (m->magic != htobe16(MESSAGE_MAGIC) || m->version != MESSAGE_VERSION)
		return REASON_BAD_VERSION;
	switch (m->type) {
	case MESSAGE_READ_REQUEST:
		return handle_read_request(&p);
	case MESSAGE_READ_REPLY:
		return handle_read_reply(&p);
	case MESSAGE_WRITE_ACK:
		return handle_write_ack(&p);
	case MESSAGE_WRITE_REQUEST:
		return handle_write_request(&p);
	case MESSAGE_OPEN_REQUEST:
		return handle_open_request(&p);
	case MESSAGE_PROBE:
		return answer_probe(&p);
	case MESSAGE_PROBE_REPLY:
		return check_replica(&p);
	}
	return REASON_BAD_TYPE;
}
