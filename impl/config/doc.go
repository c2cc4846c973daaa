// SPDX-License-Identifier: Apache-2.0

// Package config holds what the coordinators of a shard agree on, in etcd: the
// epoch and who owns it, the members and which of them are in sync, the ids that
// were minted. It changes by compare-and-swap only, so of two coordinators that
// act on the same configuration at most one succeeds.
package config
