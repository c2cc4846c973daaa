// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//go:build ignore

// Faults on the links of a rack. The program sits at the egress of every
// bridge port, so a frame from node A to node B meets it once, and is judged
// twice: as a frame from A, then as a frame to B. A judgement depends on
// nothing but the direction's settings and the number of the frame in it, so
// the same frames meet the same fate again.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// The kernel knows no name for the choice of licences; this one is in it.
char _license[] SEC("license") = "GPL";

// A direction is a node's index times two, plus one of these.
enum { FROM_NODE = 0, TO_NODE = 1 };

enum {
	MAX_PORTS = 512,
	MAX_DIRECTIONS = 256,
	HELD_BYTES = 4 << 20,
	MAX_FRAME = 1520,
};

// A judged frame that comes by again carries where it was judged in its mark.
// The number is cut to 22 bits, which tells apart 2 million frames in flight.
#define MARK_JUDGED 0x80000000U
#define MARK_HELD 0x40000000U
#define MARK_DIRECTION_SHIFT 22
#define MARK_NUMBER 0x3fffffU
#define MARK_NUMBER_SIGN 0x200000U

_Static_assert(MAX_DIRECTIONS << MARK_DIRECTION_SHIFT == MARK_HELD,
	       "a direction must fit between the number and the flags");

enum verdict { VERDICT_PASS, VERDICT_DROP, VERDICT_HELD };

// Probabilities are fractions of 2^32; times are nanoseconds.
struct settings {
	__u64 start; // first state of the direction's random sequence
	__u64 cut;   // nonzero: nothing passes
	__u64 loss;
	__u64 duplicate;
	__u64 delay;
	__u64 delay_min;
	__u64 delay_span;
	__u64 reorder;
	__u64 reorder_min;
	__u64 reorder_span;
};

struct tally {
	__u64 seen; // also the number of the next frame
	__u64 dropped;
	__u64 duplicated;
	__u64 delayed;
	__u64 undelayed; // due for a delay, but no room to hold them
	__u64 released;
	__u64 reordered;
	__u64 passed; // highest number that went on, plus one
};

// A held frame as user space gets it: this head, then the frame.
struct hold {
	__u64 due; // on the monotonic clock
	__u32 port;
	__u32 mark;
	__u32 length;
	__u32 unused;
};

struct held_frame {
	struct hold hold;
	__u8 frame[MAX_FRAME];
};

// Bridge port by interface index: its node's index plus one, zero for none.
// Written by user space when a node joins.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

// By direction, written by user space. A frame may meet a half-written entry,
// and then a mixture of the old faults and the new.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_DIRECTIONS);
	__type(key, __u32);
	__type(value, struct settings);
} faults SEC(".maps");

// By direction, written here alone, with atomic operations.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_DIRECTIONS);
	__type(key, __u32);
	__type(value, struct tally);
} tallies SEC(".maps");

// Frames on their way to the delayer; when it is full frames go undelayed.
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, HELD_BYTES);
} held SEC(".maps");

// Anchors the type in the object's type information, for the Go bindings.
const struct hold *unused_hold __attribute__((unused));

// mix is the output function of splitmix64 (Steele, Lea and Flood, 2014).
static __always_inline __u64 mix(__u64 z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

#define GOLDEN 0x9e3779b97f4a7c15ULL

static __always_inline void count(__u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

// raise moves the mark of the furthest frame. Both CPUs may do so at once; a
// try fails only because another frame moved it.
static __always_inline void raise(__u64 *passed, __u64 next)
{
	for (int i = 0; i < 8; i++) {
		__u64 old = *(volatile __u64 *)passed;

		if (old >= next || __sync_val_compare_and_swap(passed, old, next) == old)
			return;
	}
}

// scale maps a random 32-bit number to [min, min+span].
static __always_inline __u64 scale(__u32 random, __u64 min, __u64 span)
{
	return min + ((random * span) >> 32);
}

// hold_time says for how long to hold a frame, zero for not at all. A frame
// chosen for both a delay and a reordering is delayed.
static __always_inline __u64 hold_time(const struct settings *s, __u64 first)
{
	__u64 second = mix(first + GOLDEN);
	__u64 third = mix(second + GOLDEN);

	if ((__u32)second < s->delay)
		return scale(third, s->delay_min, s->delay_span);
	if (second >> 32 < s->reorder)
		return scale(third, s->reorder_min, s->reorder_span);
	return 0;
}

// copy_frame sends a copy along. A positive result means that the copy left
// and met its end further on, perhaps in this very program.
static __always_inline int copy_frame(struct __sk_buff *skb, __u32 mark)
{
	__u32 before = skb->mark;
	int err;

	skb->mark = mark;
	err = bpf_clone_redirect(skb, skb->ifindex, 0);
	skb->mark = before;
	return err;
}

static __always_inline int hold_frame(struct __sk_buff *skb, __u32 mark, __u64 time)
{
	__u32 length = skb->len;
	struct held_frame *h;

	if (length < ETH_HLEN || length > MAX_FRAME)
		return -1;
	h = bpf_ringbuf_reserve(&held, sizeof(*h), 0);
	if (!h)
		return -1;
	if (bpf_skb_load_bytes(skb, 0, h->frame, length)) {
		bpf_ringbuf_discard(h, 0);
		return -1;
	}
	h->hold.due = bpf_ktime_get_ns() + time;
	h->hold.port = skb->ifindex;
	h->hold.mark = mark | MARK_HELD;
	h->hold.length = length;
	h->hold.unused = 0;
	bpf_ringbuf_submit(h, 0);
	return 0;
}

// judge decides the fate of one frame in one direction. A copy leaves at once,
// also that of a frame which is then held.
static __always_inline enum verdict judge(struct __sk_buff *skb, __u32 direction)
{
	struct settings *s = bpf_map_lookup_elem(&faults, &direction);
	struct tally *t = bpf_map_lookup_elem(&tallies, &direction);
	__u64 number, random, time;
	__u32 mark;

	if (!s || !t)
		return VERDICT_PASS;
	number = __sync_fetch_and_add(&t->seen, 1);
	random = mix(s->start + number * GOLDEN);
	mark = MARK_JUDGED | direction << MARK_DIRECTION_SHIFT | (number & MARK_NUMBER);

	if (s->cut || (__u32)random < s->loss) {
		count(&t->dropped);
		return VERDICT_DROP;
	}
	if (random >> 32 < s->duplicate && copy_frame(skb, mark) >= 0)
		count(&t->duplicated);
	time = hold_time(s, random);
	if (time) {
		if (!hold_frame(skb, mark, time)) {
			count(&t->delayed);
			return VERDICT_HELD;
		}
		count(&t->undelayed);
	}
	raise(&t->passed, number + 1);
	return VERDICT_PASS;
}

// release accounts for a held frame that goes on now: it was overtaken if a
// frame with a higher number went on before it.
static __always_inline void release(__u32 direction, __u32 number)
{
	struct tally *t = bpf_map_lookup_elem(&tallies, &direction);
	__u64 passed;
	__u32 ahead;

	if (!t)
		return;
	count(&t->released);
	passed = *(volatile __u64 *)&t->passed;
	ahead = (number + 1 - (__u32)passed) & MARK_NUMBER;
	if (ahead & MARK_NUMBER_SIGN)
		count(&t->reordered);
	else
		raise(&t->passed, passed + ahead);
}

static __always_inline enum verdict judge_port(struct __sk_buff *skb, __u32 port, __u32 side)
{
	__u32 *node = bpf_map_lookup_elem(&ports, &port);

	if (!node || !*node)
		return VERDICT_PASS;
	return judge(skb, (*node - 1) * 2 + side);
}

SEC("tcx/egress")
int judge_frame(struct __sk_buff *skb)
{
	__u32 mark = skb->mark;
	__u32 direction = (mark & (MARK_HELD - 1)) >> MARK_DIRECTION_SHIFT;

	// Lost address resolution would stall a node for a second, which says
	// nothing about the protocol under test.
	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return TC_ACT_OK;
	if (mark & MARK_HELD)
		release(direction, mark & MARK_NUMBER);
	if (!(mark & MARK_JUDGED)) {
		if (judge_port(skb, skb->ingress_ifindex, FROM_NODE) != VERDICT_PASS)
			return TC_ACT_SHOT;
		direction = FROM_NODE;
	}
	if (direction % 2 == FROM_NODE &&
	    judge_port(skb, skb->ifindex, TO_NODE) != VERDICT_PASS)
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}
