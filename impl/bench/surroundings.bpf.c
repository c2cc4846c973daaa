//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Everything around a coordinator under test, without user space: the program
 * runs on the peer of the coordinator's device and plays the clients and the
 * replicas. A lane is a client with one request open: its frame circulates, as
 * the answer to one request is made the next request in place. An operation
 * counts only when its answer is right: of the request that is open, complete,
 * and of a version that linearizability allows there.
 *
 * All frames of the device are handled by one thread, so nothing is atomic.
 */
#include "surroundings.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline int fault(enum fault f)
{
	counts.faults[f]++;
	return XDP_DROP;
}

static __always_inline struct headers *frame_of(struct xdp_md *ctx)
{
	struct headers *h = (void *)(long)ctx->data;

	if ((void *)h + FIXED_SIZE > (void *)(long)ctx->data_end)
		return NULL;
	return h;
}

/*
 * Makes the frame `to` bytes long. It grows at its tail: frames begin their way with
 * more room there than any needs. Where the kernel made a smaller one, as for what
 * came from a socket, it grows at its head, where the headers move along, and the key
 * does not.
 */
static __always_inline struct headers *resize(struct xdp_md *ctx, __u32 to, bool *at_head)
{
	int grow = (int)to - (int)(ctx->data_end - ctx->data);
	__u64 copy[(FIXED_SIZE + 7) / 8];

	*at_head = false;
	if (!grow || !bpf_xdp_adjust_tail(ctx, grow))
		return frame_of(ctx);
	*at_head = true;
	if (bpf_xdp_load_bytes(ctx, 0, copy, FIXED_SIZE) || bpf_xdp_adjust_head(ctx, -grow) ||
	    bpf_xdp_store_bytes(ctx, 0, copy, FIXED_SIZE))
		return NULL;
	return frame_of(ctx);
}

static __always_inline int send_to(struct headers *h, const volatile struct address *from,
				   const volatile struct address *to, __u32 payload)
{
	address_frame(h, from, to, payload);
	counts.out++;
	return XDP_TX;
}

static __always_inline int send(struct headers *h, const volatile struct address *from,
				__u32 payload)
{
	return send_to(h, from, &coordinator.address, payload);
}

/* Puts bytes of the key's payload, from one place to another, into the frame. */
static __always_inline int fill(struct xdp_md *ctx, struct key_register *k, __u32 from, __u32 to)
{
	__u32 size = to - from;

	if (from > 256 || !size || size > MAX_PAYLOAD - 256)
		return -1;
	return bpf_xdp_store_bytes(ctx, FIXED_SIZE + from, k->payload + from, size);
}

static __always_inline __u64 hash_of(const struct key_register *k, __u32 key)
{
	return k->hash ^ (__u64)(key / register_count) << 32;
}

/* The number of the lane's next key. */
static __always_inline __u32 choose(const struct lane *l, __u32 number)
{
	switch (control.choice) {
	case CHOICE_IN_TURN:
		return (l->key + lane_count) % key_count;
	case CHOICE_OWN:
		return number % key_count;
	}
	return (__u64)draw() * key_count >> 32;
}

/* Makes the frame the lane's next request. */
static __always_inline int issue(struct xdp_md *ctx, struct lane *l, __u32 number)
{
	__u32 key = choose(l, number), index = key & (register_count - 1);
	__be32 variant = bpf_htonl(key / register_count);
	__u32 is_write = draw() % 1000 < control.writes;
	__u32 payload = is_write ? key_len + value_len : key_len;
	bool at_head;
	struct headers *h = resize(ctx, FIXED_SIZE + payload, &at_head);
	struct message *m;
	struct key_register *k;

	k = bpf_map_lookup_elem(&registers, &index);
	if (!h || !k)
		return fault(FAULT_ROOM);
	m = (void *)(h + 1);
	l->key = key;
	l->request++;
	l->floor = k->floor;
	l->awaits = is_write ? MESSAGE_WRITE_RESPONSE : MESSAGE_READ_RESPONSE;
	*m = (struct message){
		.magic = bpf_htons(MESSAGE_MAGIC),
		.version = MESSAGE_VERSION,
		.type = is_write ? MESSAGE_WRITE_REQUEST : MESSAGE_READ_REQUEST,
		.op = is_write ? OP_PUT : OP_NONE,
		.digest = is_write ? bpf_htonl(k->digest) : 0,
		.session = bpf_cpu_to_be64(l->session),
		.request = bpf_cpu_to_be64(l->request),
		.key_hash = bpf_cpu_to_be64(hash_of(k, key)),
		.key_len = bpf_htons(key_len),
		.value_len = is_write ? bpf_htons(value_len) : 0,
	};
	send(h, &l->address, payload);
	if (fill(ctx, k, 0, payload) ||
	    bpf_xdp_store_bytes(ctx, FIXED_SIZE + VARIANT_OFFSET, &variant, sizeof(variant)))
		return fault(FAULT_ROOM);
	l->sent = control.timed ? bpf_ktime_get_ns() : 0;
	return XDP_TX;
}

/* Ends the lane's operation, which is complete, and begins the next. */
static __always_inline int proceed(struct xdp_md *ctx, struct lane *l, __u32 number)
{
	l->completed++;
	if (control.stop) {
		counts.parked++;
		l->awaits = 0;
		return XDP_DROP;
	}
	return issue(ctx, l, number);
}

/* Judges whether the answer is the right one, and whole. */
static __always_inline int judge(const struct headers *h, const struct message *m,
				 const struct lane *l, struct key_register *k)
{
	__u64 seq = bpf_be64_to_cpu(m->seq);
	__u32 payload = 0;

	if (m->status != STATUS_OK)
		return FAULT_STATUS;
	if (m->type != l->awaits || m->request != bpf_cpu_to_be64(l->request) ||
	    m->session != bpf_cpu_to_be64(l->session))
		return FAULT_REQUEST;
	if (m->type == MESSAGE_READ_RESPONSE) {
		payload = key_len;
		if (m->op == OP_PUT)
			payload += value_len;
		if (m->key_len != bpf_htons(key_len) || (m->op && m->digest != bpf_htonl(k->digest)))
			return FAULT_SHAPE;
	}
	if (m->key_hash != bpf_cpu_to_be64(hash_of(k, l->key)) || m->client.ip || m->epoch != bpf_htonl(epoch) ||
	    bpf_ntohs(h->udp.len) != sizeof(struct udphdr) + sizeof(*m) + payload ||
	    bpf_ntohs(h->ip.tot_len) != sizeof(struct iphdr) + bpf_ntohs(h->udp.len))
		return FAULT_SHAPE;
	if (!audited)
		return -1;
	/* A write is newer than all that was known before it; a read may be as old. */
	if (seq < l->floor + (m->type == MESSAGE_WRITE_RESPONSE))
		return FAULT_VERSION;
	if (seq > k->floor)
		k->floor = seq;
	return -1;
}

/* A client's part. */
static __always_inline int receive_answer(struct xdp_md *ctx, struct headers *h, struct message *m)
{
	__u32 number = bpf_ntohs(h->udp.dest) - first_port, index;
	__u64 now = control.timed ? bpf_ktime_get_ns() : 0;
	struct lane *l = bpf_map_lookup_elem(&lanes, &number);
	struct key_register *k;
	int f;

	if (!l || number >= lane_count || h->ip.daddr != l->address.ip)
		return fault(FAULT_LANE);
	if (control.echo) {
		counts.echoes++;
		return proceed(ctx, l, number);
	}
	if (m->type == MESSAGE_OPEN_RESPONSE) {
		if (m->status != STATUS_OK || l->awaits != MESSAGE_OPEN_RESPONSE)
			return fault(FAULT_STATUS);
		counts.opens++;
		l->session = bpf_be64_to_cpu(m->session);
		return proceed(ctx, l, number);
	}
	index = l->key & (register_count - 1);
	k = bpf_map_lookup_elem(&registers, &index);
	if (!k)
		return fault(FAULT_LANE);
	f = judge(h, m, l, k);
	if (f >= 0)
		return fault(f);
	if (m->type == MESSAGE_WRITE_RESPONSE)
		counts.writes++;
	else
		counts.reads++;
	if (now && l->sent)
		note_time(now - l->sent);
	return proceed(ctx, l, number);
}

/*
 * Sends a lane's first frame, or the next after it was parked. User space hands it over
 * by the coordinator's device, as long as the longest that the lane will need and with
 * a version that no message has: an open request, or a read request for a lane
 * that goes on without a session or with the one it has.
 */
static __always_inline int begin(struct xdp_md *ctx, struct headers *h, struct message *m)
{
	__u32 number = bpf_ntohs(h->udp.dest) - first_port;
	struct lane *l = bpf_map_lookup_elem(&lanes, &number);
	bool at_head;

	if (!l || number >= lane_count)
		return fault(FAULT_LANE);
	if (m->type == MESSAGE_READ_REQUEST)
		return issue(ctx, l, number);
	m->version = MESSAGE_VERSION;
	m->value_len = 0;
	h = resize(ctx, FIXED_SIZE, &at_head);
	if (!h)
		return fault(FAULT_ROOM);
	return send(h, &l->address, 0);
}

/* Makes the frame the answer to a read, with the value of the key that it has. */
static __always_inline int send_value(struct xdp_md *ctx, struct message *m, struct key_register *k,
				      __be32 variant, const volatile struct address *from,
				      const volatile struct address *to)
{
	struct headers *h;
	bool at_head;
	int failed;

	m->op = OP_PUT;
	m->digest = bpf_htonl(k->digest);
	m->value_len = bpf_htons(value_len);
	h = resize(ctx, FIXED_SIZE + key_len + value_len, &at_head);
	failed = fill(ctx, k, key_len, key_len + value_len);
	/* A coordinator that holds the value back sends the read on with the key. */
	if (at_head)
		failed |= fill(ctx, k, 0, key_len) |
			  bpf_xdp_store_bytes(ctx, FIXED_SIZE + VARIANT_OFFSET, &variant, sizeof(variant));
	if (!h || failed)
		return fault(FAULT_ROOM);
	h = frame_of(ctx);
	if (!h)
		return fault(FAULT_ROOM);
	return send_to(h, from, to, key_len + value_len);
}

/* A replica's part: applies a write, or looks a key up, and answers. */
static __always_inline int serve(struct xdp_md *ctx, struct headers *h, struct message *m)
{
	__u32 replica = bpf_ntohl(m->replica) % MAX_MEMBERS, at;
	__u64 hash = bpf_be64_to_cpu(m->key_hash);
	__u32 index = hash & (register_count - 1);
	const volatile struct peer *self = &replicas[replica];
	struct record *r;
	struct key_register *k;
	__be32 variant;
	bool at_head;
	__u64 seq;

	at = replica * MAX_REGISTERS + index;
	r = bpf_map_lookup_elem(&records, &at);
	k = bpf_map_lookup_elem(&registers, &index);
	if (!r || !k || bpf_xdp_load_bytes(ctx, FIXED_SIZE + VARIANT_OFFSET, &variant, sizeof(variant)))
		return fault(FAULT_REPLICA);
	if (self->id != bpf_ntohl(m->replica) || h->ip.daddr != self->address.ip ||
	    h->udp.dest != self->address.port || m->epoch != bpf_htonl(epoch) ||
	    hash != (k->hash ^ (__u64)bpf_ntohl(variant) << 32) || m->key_len != bpf_htons(key_len))
		return fault(FAULT_REPLICA);
	if (m->type == MESSAGE_WRITE) {
		if (m->digest != bpf_htonl(k->digest) || m->value_len != bpf_htons(value_len))
			return fault(FAULT_REPLICA);
		if (control.withhold && replica == replica_count - 1)
			return XDP_DROP;
		seq = bpf_be64_to_cpu(m->seq);
		if (seq > r->seq) {
			r->seq = seq;
			r->writer = bpf_be64_to_cpu(m->writer);
		}
		counts.applied[replica]++;
		m->type = MESSAGE_WRITE_ACK;
		m->key_len = 0;
		m->value_len = 0;
		h = resize(ctx, FIXED_SIZE, &at_head);
		if (!h)
			return fault(FAULT_ROOM);
		return send(h, &self->address, 0);
	}
	counts.served[replica]++;
	counts.hops += !!m->hops;
	m->type = MESSAGE_READ_REPLY;
	m->seq = bpf_cpu_to_be64(r->seq);
	m->writer = bpf_cpu_to_be64(r->writer);
	/* A forwarder without versions gets values all the same. */
	if (!r->seq && audited)
		return send(h, &self->address, key_len);
	m->version_epoch = r->seq ? bpf_htonl(epoch) : 0;
	return send_value(ctx, m, k, variant, &self->address, &coordinator.address);
}

/*
 * A replica's part behind a balancer: answers a client's read as a coordinator would,
 * to where it came from. Nothing is ever written, so values have no versions.
 */
static __always_inline int serve_directly(struct xdp_md *ctx, struct headers *h, struct message *m)
{
	__u64 hash = bpf_be64_to_cpu(m->key_hash);
	__u32 index = hash & (register_count - 1), replica = 0;
	struct address from = sender(h);
	const volatile struct peer *self;
	struct key_register *k;
	__be32 variant;

	counts.in++;
	if (bpf_ktime_get_coarse_ns() > control.deadline)
		return fault(FAULT_LATE);
	while (replica < replica_count && replica < MAX_MEMBERS - 1 &&
	       h->ip.daddr != replicas[replica].address.ip)
		replica++;
	self = &replicas[replica];
	k = bpf_map_lookup_elem(&registers, &index);
	if (!k || bpf_xdp_load_bytes(ctx, FIXED_SIZE + VARIANT_OFFSET, &variant, sizeof(variant)))
		return fault(FAULT_REPLICA);
	if (h->ip.daddr != self->address.ip || h->udp.dest != self->address.port ||
	    bpf_ntohs(h->udp.len) != sizeof(struct udphdr) + sizeof(*m) + key_len ||
	    hash != (k->hash ^ (__u64)bpf_ntohl(variant) << 32) || m->key_len != bpf_htons(key_len))
		return fault(FAULT_REPLICA);
	counts.served[replica]++;
	m->type = MESSAGE_READ_RESPONSE;
	m->status = STATUS_OK;
	m->epoch = bpf_htonl(epoch);
	m->replica = bpf_htonl(self->id);
	return send_value(ctx, m, k, variant, &self->address, &from);
}

static __always_inline bool is_message(const struct headers *h, const struct message *m)
{
	return h->eth.h_proto == bpf_htons(ETH_P_IP) && h->ip.saddr == coordinator.address.ip &&
	       h->ip.protocol == IPPROTO_UDP && m->magic == bpf_htons(MESSAGE_MAGIC);
}

SEC("xdp")
int surroundings(struct xdp_md *ctx)
{
	struct headers *h;
	struct message *m;

	/* What the peer keeps in front of a frame would add up from lap to lap. */
	if (ctx->data != ctx->data_meta && bpf_xdp_adjust_meta(ctx, ctx->data - ctx->data_meta))
		return fault(FAULT_ROOM);
	h = frame_of(ctx);
	if (!h)
		return fault(FAULT_FOREIGN);
	m = (void *)(h + 1);
	/* A balancer has ports of its own, or takes those of clients. */
	if (direct && is_message(h, m) && m->version == MESSAGE_VERSION && m->type == MESSAGE_READ_REQUEST)
		return serve_directly(ctx, h, m);
	if (!is_message(h, m) || h->udp.source != coordinator.address.port)
		return fault(FAULT_FOREIGN);
	if (m->version != MESSAGE_VERSION)
		return begin(ctx, h, m);
	counts.in++;
	if (bpf_ktime_get_coarse_ns() > control.deadline)
		return fault(FAULT_LATE);
	switch (m->type) {
	case MESSAGE_READ:
	case MESSAGE_WRITE:
		return serve(ctx, h, m);
	case MESSAGE_OPEN_RESPONSE:
	case MESSAGE_READ_RESPONSE:
	case MESSAGE_WRITE_RESPONSE:
		return receive_answer(ctx, h, m);
	}
	if (control.echo)
		return receive_answer(ctx, h, m);
	return fault(FAULT_TYPE);
}
