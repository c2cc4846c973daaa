// SPDX-License-Identifier: Apache-2.0

// Package bench measures what a coordinator costs, alone: all that surrounds
// it, clients and replicas, is one XDP program at the other end of its link,
// which turns each right answer into the next request. The coordinator has one
// processor and the surroundings another; the coordinator's processor time,
// that of the kernel thread that receives for it included, is divided by the
// operations that the surroundings counted as complete and right.
package bench

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -tags linux -target bpfel -type lane surroundings surroundings.bpf.c -- -O2 -g -Wall -Wextra -Werror -mcpu=v3 -I../../bpf -idirafter /usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -tags linux -target bpfel limit limit.bpf.c -- -O2 -g -Wall -Wextra -Werror -mcpu=v3 -I../../bpf -idirafter /usr/include/x86_64-linux-gnu
