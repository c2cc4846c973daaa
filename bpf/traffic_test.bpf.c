//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The surroundings of a coordinator under test, in the kernel, so that each
 * processor can keep it busy: a program that makes the frames of clients and
 * replicas, and one that takes note of all that the coordinator sends.
 *
 * Each processor is a lane with its own sequence of frames. A frame bears its
 * lane and its number in fields that the coordinator leaves as they are (IPv4's
 * type of service and identification), so that each output is known to be of
 * one input. The frames are about few sessions, and about what is in the
 * coordinator's table at that moment, so that the lanes get in each other's way.
 */
#include "device.h"

char LICENSE[] SEC("license") = "GPL";

#define LANES 2
/* Frames of a lane, numbered by the 20 bits that are left for it. */
#define LANE_FRAMES (1 << 18)
#define LANE_SHIFT 20
/*
 * Frames that may be on their way to the coordinator, and as many from it: even if
 * five copies come of each one, they fit into the 256 places of a veth queue.
 */
#define MOST_WAITING 40
#define MOST_PROCESSORS 256
#define KEY_SIZE 8
#define VALUE_SIZE 16
/* The size of what is made into frames. */
#define BLANK_FRAME 192
#define LARGEST_FRAME (HEADERS_SIZE + sizeof(struct message) + KEY_SIZE + VALUE_SIZE)

enum kind {
	KIND_WRITE,
	KIND_ACK,
	KIND_REPLY,
	KIND_READ,
};

/* A frame made for the coordinator. Times are of the kernel's clock. */
struct input {
	__u64 time;
	__u64 request;
	__u64 seq;
	__u8 kind;
	__u8 slot;
	/* Index of the replica that sends it. */
	__u8 replica;
	__u8 hops;
	__u32 unused;
};

/* What came of it: one frame, or the copies of a multicast. */
struct output {
	/* Of the first frame. */
	__u64 time;
	__u64 request;
	__u64 seq;
	__u8 type;
	__u8 status;
	__u8 hops;
	/*
	 * How many frames came, how many of them were not as they must be, and how
	 * many more, of a multicast, for a replica that had got one.
	 */
	__u8 count;
	__u8 wrong;
	__u8 surplus;
	/* The replica indices that they were for. */
	__u16 targets;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LANES * LANE_FRAMES);
	__type(key, __u32);
	__type(value, struct input);
} inputs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LANES * LANE_FRAMES);
	__type(key, __u32);
	__type(value, struct output);
} outputs SEC(".maps");

/* A client or replica: its address, its wire, and the coordinator's end of that. */
struct station_end {
	struct address address;
	__u32 ifindex;
	__be16 coordinator_mac[3];
	__u16 unused;
};

struct lane {
	__u64 random;
	__u32 next;
	__u32 unused;
	/* The version that was last seen in each slot, and the one before. */
	__u64 seen[2][16];
} __attribute__((aligned(64)));

/* Set up by the test. */
struct plan {
	struct station_end clients[LANES];
	struct station_end replicas[MAX_MEMBERS];
	__u32 replica_count;
	__u32 first_slot;
	__u32 slot_count;
	/* How many frames each lane makes. */
	__u32 frames;
	/* Of 256 frames: how many are of a kind up to each kind. */
	__u32 up_to[4];
	/* Of 256 writes: how many are retries. */
	__u32 retries;
	/* What the coordinator had handled and sent before the first frame. */
	__u64 handled;
	__u64 sent;
	__u8 lane_of[MOST_PROCESSORS];
};

struct plan plan;
struct lane lanes[LANES];
/* Frames that the coordinator sent, by lane. */
struct {
	__u64 count;
	__u64 unused[7];
} captured[LANES] __attribute__((aligned(64)));

static __always_inline __u64 session_of(__u32 slot)
{
	return 1ULL << 40 | 1ULL << 24 | slot;
}

/* A write's digest and key hash depend on its request, so that a mixture shows. */
static __always_inline __u32 digest_of(__u64 request)
{
	return (__u32)request * 2654435761U;
}

static __always_inline __u64 hash_of(__u64 request)
{
	return request * 0x9E3779B97F4A7C15ULL;
}

static __always_inline __u64 draw(struct lane *l)
{
	__u64 x = l->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	l->random = x;
	return x;
}

/* Chooses what the next frame is. Draws on the coordinator's table. */
static __always_inline void choose(struct lane *l, struct input *in)
{
	__u64 r = draw(l), request = 0, word = 0;
	__u32 kind = r & 0xFF, chance = r >> 16 & 0xFF, slot = plan.first_slot + (r >> 8 & 0xFF) % plan.slot_count;
	struct session_entry *e = bpf_map_lookup_elem(&sessions, &slot);

	if (e) {
		/* Of one moment: no replica answers for one write in the name of another. */
		bpf_spin_lock(&e->lock);
		request = e->request;
		word = READ_ONCE(e->word);
		bpf_spin_unlock(&e->lock);
	}
	if (l->seen[0][slot & 15] != SEQ(word)) {
		l->seen[1][slot & 15] = l->seen[0][slot & 15];
		l->seen[0][slot & 15] = SEQ(word);
	}
	in->time = bpf_ktime_get_ns();
	in->slot = slot;
	in->replica = (r >> 24 & 0xFF) % plan.replica_count;
	in->hops = 0;
	in->request = request;
	in->seq = 0;
	if (kind < plan.up_to[KIND_WRITE]) {
		in->kind = KIND_WRITE;
		if (chance >= plan.retries || !request)
			in->request = chance % 16 || request < 2 ? request + 1 : request - 1;
	} else if (kind < plan.up_to[KIND_ACK]) {
		in->kind = KIND_ACK;
		in->seq = l->seen[chance % 16 == 0][slot & 15];
	} else if (kind < plan.up_to[KIND_REPLY]) {
		in->kind = KIND_REPLY;
		in->seq = chance % 16 ? l->seen[chance % 4 == 0][slot & 15] : 0;
		in->hops = r >> 32 & 1 ? MAX_HOPS : r >> 33 & 7;
	} else {
		in->kind = KIND_READ;
		in->request = r >> 40 | 1;
	}
}

static __always_inline void head(void *data, const struct station_end *from, __u32 number, __u32 payload)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct udphdr *udp = (void *)(ip + 1);
	__be16 *dest = (__be16 *)eth->h_dest, *source = (__be16 *)eth->h_source;

	for (int i = 0; i < 3; i++) {
		dest[i] = from->coordinator_mac[i];
		source[i] = from->address.mac[i];
	}
	eth->h_proto = bpf_htons(ETH_P_IP);
	*(__u8 *)ip = VERSION_4_NO_OPTIONS;
	ip->tos = number >> 16;
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*udp) + sizeof(struct message) + payload);
	ip->id = bpf_htons(number);
	ip->frag_off = 0;
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->check = 0;
	ip->saddr = from->address.ip;
	ip->daddr = coordinator_address.ip;
	udp->source = from->address.port;
	udp->dest = coordinator_address.port;
	udp->len = bpf_htons(sizeof(*udp) + sizeof(struct message) + payload);
	udp->check = 0;
}

/*
 * Says whether the queues of the wires have room for another frame and what will
 * come of it. The kernel may put off their work and let this program run on, or
 * do it on another processor than that of the lane.
 */
static __always_inline int has_room(void)
{
	__u64 made = 0, handled = 0, sent, got = 0;
	__u32 zero = 0;

	sent = -plan.sent;
	for (int cpu = 0; cpu < MOST_PROCESSORS; cpu++) {
		struct counters *c = bpf_map_lookup_percpu_elem(&counters, &zero, cpu);

		if (!c)
			break;
		for (int i = 0; i < ACTION_COUNT; i++)
			handled += READ_ONCE(c->actions[i]);
		sent += READ_ONCE(c->activities[ACTIVITY_CLONES]) - READ_ONCE(c->activities[ACTIVITY_MULTICASTS]);
		for (int i = 0; i < REASON_COUNT; i++)
			sent -= READ_ONCE(c->drops[i]);
	}
	sent += handled;
	for (int i = 0; i < LANES; i++) {
		made += READ_ONCE(lanes[i].next);
		got += READ_ONCE(captured[i].count);
	}
	return (__s64)(made - (handled - plan.handled)) < MOST_WAITING && (__s64)(sent - got) < MOST_WAITING;
}

/* Makes the lane's next frame out of whatever was in its place, and sends it. */
SEC("xdp")
int make(struct xdp_md *ctx)
{
	__u32 number = plan.lane_of[bpf_get_smp_processor_id() % MOST_PROCESSORS] % LANES, index, payload = 0;
	struct lane *l = &lanes[number];
	const struct station_end *from = &plan.clients[number];
	struct message *m;
	struct input *in;
	void *data;

	if (l->next >= plan.frames || l->next >= LANE_FRAMES || !plan.slot_count || !plan.replica_count ||
	    !has_room())
		return XDP_DROP;
	index = number * LANE_FRAMES + l->next;
	number = number << LANE_SHIFT | l->next;
	in = bpf_map_lookup_elem(&inputs, &index);
	if (!in)
		return XDP_ABORTED;
	choose(l, in);
	if (in->kind == KIND_WRITE || (in->kind == KIND_REPLY && in->seq))
		payload = KEY_SIZE + VALUE_SIZE;
	else if (in->kind != KIND_ACK)
		payload = KEY_SIZE;
	if (in->kind == KIND_ACK || in->kind == KIND_REPLY)
		from = &plan.replicas[in->replica % MAX_MEMBERS];
	/* The kernel puts the frame's bounds back only if something is cut off each time. */
	if (bpf_xdp_adjust_tail(ctx, (int)(HEADERS_SIZE + sizeof(*m) + payload) - BLANK_FRAME))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	m = data + HEADERS_SIZE;
	if ((void *)(m + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	head(data, from, number, payload);
	__builtin_memset(m, 0, sizeof(*m));
	m->magic = bpf_htons(MESSAGE_MAGIC);
	m->version = MESSAGE_VERSION;
	m->hops = in->hops;
	m->session = bpf_cpu_to_be64(session_of(in->slot));
	m->request = bpf_cpu_to_be64(in->request);
	m->key_len = bpf_htons(payload ? KEY_SIZE : 0);
	m->value_len = bpf_htons(payload > KEY_SIZE ? VALUE_SIZE : 0);
	if (in->kind == KIND_WRITE) {
		m->type = MESSAGE_WRITE_REQUEST;
		m->op = OP_PUT;
		m->digest = bpf_htonl(digest_of(in->request));
		m->key_hash = bpf_cpu_to_be64(hash_of(in->request));
	} else if (in->kind == KIND_READ) {
		m->type = MESSAGE_READ_REQUEST;
	} else {
		m->type = in->kind == KIND_ACK ? MESSAGE_WRITE_ACK : MESSAGE_READ_REPLY;
		m->op = in->seq ? OP_PUT : OP_NONE;
		m->epoch = bpf_htonl(1);
		m->replica = bpf_htonl(MAX_MEMBERS | in->replica);
		m->version_epoch = bpf_htonl(in->kind == KIND_ACK || in->seq);
		m->seq = bpf_cpu_to_be64(in->seq);
		m->writer = m->session;
		m->client = plan.clients[number >> LANE_SHIFT & (LANES - 1)].address;
	}
	l->next++;
	return bpf_redirect(from->ifindex, 0);
}

static __always_inline int checksum_is_right(const struct iphdr *ip)
{
	const __u16 *words = (const __u16 *)ip;
	__u32 sum = 0;

	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum >> 16) + (sum & 0xFFFF);
	sum = (sum >> 16) + (sum & 0xFFFF);
	return sum == 0xFFFF;
}

/* Says whether the frame is what its receiver, and nobody else, can take. */
static __always_inline int is_right(const struct ethhdr *eth, const struct station_end *to, const struct input *in)
{
	const __be16 *dest = (const __be16 *)eth->h_dest, *source = (const __be16 *)eth->h_source;
	const struct iphdr *ip = (const void *)(eth + 1);
	const struct udphdr *udp = (const void *)(ip + 1);
	const struct message *m = (const void *)(udp + 1);

	for (int i = 0; i < 3; i++)
		if (dest[i] != to->address.mac[i] || source[i] != to->coordinator_mac[i])
			return 0;
	if (m->type == MESSAGE_WRITE && in->kind != KIND_ACK && in->kind != KIND_READ &&
	    (m->digest != bpf_htonl(digest_of(bpf_be64_to_cpu(m->request))) || ip->tot_len != bpf_htons(LARGEST_FRAME - sizeof(struct ethhdr))))
		return 0;
	return ip->saddr == coordinator_address.ip && ip->daddr == to->address.ip && checksum_is_right(ip) &&
	       udp->source == coordinator_address.port && udp->dest == to->address.port &&
	       m->session == bpf_cpu_to_be64(session_of(in->slot)) && bpf_ntohl(m->epoch) == 1;
}

/* Takes note of a frame that the coordinator sent, and ends it. */
SEC("xdp")
int capture(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct message *m = data + HEADERS_SIZE;
	const struct station_end *to;
	struct output *out;
	struct input *in;
	__u32 number, index, bit = 0;

	if ((void *)(m + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || m->magic != bpf_htons(MESSAGE_MAGIC))
		return XDP_PASS;
	number = (__u32)ip->tos << 16 | bpf_ntohs(ip->id);
	index = (number >> LANE_SHIFT) * LANE_FRAMES + (number & ((1 << LANE_SHIFT) - 1));
	out = bpf_map_lookup_elem(&outputs, &index);
	in = bpf_map_lookup_elem(&inputs, &index);
	if (!out || !in)
		return XDP_DROP;
	number = number >> LANE_SHIFT & (LANES - 1);
	if (m->type == MESSAGE_WRITE || m->type == MESSAGE_READ) {
		bit = 1 << (bpf_ntohl(m->replica) % MAX_MEMBERS);
		to = &plan.replicas[bpf_ntohl(m->replica) % MAX_MEMBERS];
	} else {
		to = &plan.clients[number];
	}
	__sync_fetch_and_add(&captured[number].count, 1);
	if (ctx->ingress_ifindex != to->ifindex || !is_right(eth, to, in) || (out->count && out->type != m->type) ||
	    (out->targets & bit && m->type != MESSAGE_WRITE)) {
		out->wrong++;
	} else if (out->targets & bit) {
		out->surplus++;
		return XDP_DROP;
	}
	if (!out->count)
		out->time = bpf_ktime_get_ns();
	out->count++;
	out->targets |= bit;
	out->type = m->type;
	out->status = m->status;
	out->hops = m->hops;
	out->seq = bpf_be64_to_cpu(m->seq);
	out->request = bpf_be64_to_cpu(m->request);
	return XDP_DROP;
}
