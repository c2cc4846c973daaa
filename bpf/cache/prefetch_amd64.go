// SPDX-License-Identifier: Apache-2.0

package cache

import "unsafe"

const lineSize = 64

// Prefetch asks for the lines of some bytes, and waits for none of them. It reads
// nothing: other goroutines may write there meanwhile.
func Prefetch(p unsafe.Pointer, size uintptr) {
	for line := uintptr(p) &^ (lineSize - 1); line < uintptr(p)+size; line += lineSize {
		prefetchLine(line)
	}
}

//go:noescape
func prefetchLine(address uintptr)
