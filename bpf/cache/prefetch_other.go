// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package cache

import "unsafe"

// Prefetch does nothing on this processor.
func Prefetch(unsafe.Pointer, uintptr) {}
