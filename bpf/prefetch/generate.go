// SPDX-License-Identifier: Apache-2.0

package prefetch

//go:generate go tool bpf2go -target bpfel -cc clang-19 -strip llvm-strip-19 prefetch prefetch.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu
