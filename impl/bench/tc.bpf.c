//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The same forwarder one layer up, where the kernel has made a socket buffer of
 * the frame: at TC ingress, with a clone for each copy of a write but the last.
 * It is how a kernel without XDP's broadcast multicasts.
 */
#include "forward.h"

#include <linux/pkt_cls.h>

char LICENSE[] SEC("license") = "GPL";

/* The device that frames come in by, and go out by. */
const volatile __u32 device;

/*
 * Whoever clones a buffer has its bytes shared, so the kernel copies them for the
 * one that is kept: pointers into it are of before.
 */
static __always_inline int multicast(struct __sk_buff *skb)
{
	for (__u32 i = 0; i < MAX_MEMBERS; i++) {
		struct headers *h = (void *)(long)skb->data;
		struct message *m = (void *)(h + 1);

		if (i >= replica_count || (void *)(m + 1) > (void *)(long)skb->data_end)
			break;
		address_copy(h, m, &replicas[i]);
		if (i + 1 == replica_count)
			return bpf_redirect(device, 0);
		bpf_clone_redirect(skb, device, 0);
	}
	return TC_ACT_SHOT;
}

SEC("tcx/ingress")
int forward(struct __sk_buff *skb)
{
	switch (decide((void *)(long)skb->data, (void *)(long)skb->data_end)) {
	case DECIDE_LEAVE:
		return TC_ACT_OK;
	case DECIDE_SEND:
		return bpf_redirect(device, 0);
	case DECIDE_MULTICAST:
		return multicast(skb);
	case DECIDE_DROP:
		break;
	}
	return TC_ACT_SHOT;
}
