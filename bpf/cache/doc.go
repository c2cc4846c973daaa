// SPDX-License-Identifier: Apache-2.0

// Package cache has memory come into the processor's caches before it is needed, so that
// who needs many pieces of it waits for all of them at once.
package cache
