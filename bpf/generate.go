// SPDX-License-Identifier: Apache-2.0

package bpf

// The second object is of the same sources, for a coordinator on several devices,
// the third for a Rig, and the fourth for a coordinator on one device that tells
// protocol events.
//
// Debian keeps asm/types.h in the directory of the host's architecture, where
// clang does not look when it compiles for another target.

//go:generate go tool bpf2go -target bpfel -cc clang-19 -strip llvm-strip-19 -type message -type message_type -type op -type status -type drop_reason -type action -type activity -type multicast coordinator coordinator.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -target bpfel -cc clang-19 -strip llvm-strip-19 -no-global-types several coordinator.bpf.c -- -mcpu=v3 -DDALIO_SEVERAL_DEVICES -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -target bpfel -cc clang-19 -strip llvm-strip-19 -no-global-types copies copies.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -target bpfel -cc clang-19 -strip llvm-strip-19 -no-global-types -type event eventful coordinator.bpf.c -- -mcpu=v3 -DDALIO_EVENTS -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu
