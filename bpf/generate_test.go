// SPDX-License-Identifier: Apache-2.0

package bpf

// Objects for tests only: two with entries around the shipped ones, one whose
// acknowledgements give up at once, as they otherwise do only under a contention
// that no test can promise, the surroundings that keep a coordinator busy, and a
// program that takes long.

//go:generate go tool bpf2go -target bpfel -cc clang-19 -strip llvm-strip-19 -no-global-types entry entries_test.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -target bpfel -cc clang-19 -strip llvm-strip-19 -no-global-types entry_several entries_test.bpf.c -- -mcpu=v3 -DDALIO_SEVERAL_DEVICES -Wall -Wextra -Werror -Wno-unused-parameter -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -target bpfel -cc clang-19 -strip llvm-strip-19 -no-global-types contended coordinator.bpf.c -- -mcpu=v3 -DMAX_SWAPS=0 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -target bpfel -cc clang-19 -strip llvm-strip-19 -type station_end traffic traffic_test.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -target bpfel -cc clang-19 -strip llvm-strip-19 linger linger_test.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter -I/usr/include/x86_64-linux-gnu
