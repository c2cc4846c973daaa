//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The clone program's body as a plain XDP program, for who has no device:
 * BPF_PROG_TEST_RUN refuses programs of a device map. It uses the maps of a
 * coordinator that is loaded already, so what is shared is shared here too.
 */
#include "coordinator.bpf.c"

/* A data plane on no device has 0 for its one device's index. */
SEC("xdp")
int address_copy(struct xdp_md *ctx)
{
	return address_clone(ctx, 0);
}
