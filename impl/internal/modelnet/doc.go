// SPDX-License-Identifier: Apache-2.0

// Package modelnet is a network in memory whose coordinator is the reference
// model. Replicas and clients run on it as they are, without privileges, and
// faults are drawn from a seed. In a bubble of testing/synctest its time is
// virtual, so that minutes of timeouts take moments.
package modelnet
