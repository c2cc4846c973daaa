// SPDX-License-Identifier: Apache-2.0

// Package membership decides what a coordinator's control plane does next about
// the shard's members: who is taken out, joined, recovered from, when an epoch is
// taken and opened. It does nothing itself: Next looks at what is known and names
// one step, somebody takes it, and Next is asked again. So whoever comes after a
// crash goes on from what is there, and every order of events can be tried in a
// test.
//
// Whatever happens between two steps, this holds:
//
//	kernel's serving set ⊆ in-sync members ⊆ members ⊆ kernel's acknowledgement mask
//
// where the sets in the middle are the configuration's and the outer ones those of
// the epoch's owner.
package membership
