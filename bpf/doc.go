// SPDX-License-Identifier: Apache-2.0

// Package bpf is the data plane: the coordinator as an XDP program, and what
// loads, attaches, steers and reads it.
//
// The C sources begin at coordinator.bpf.c. wire.h is the only definition of the
// wire format and of the names that C and Go share; the tests compare it with
// package protocol. The committed object is embedded, so that nothing but this
// package is needed at run time; make generate rebuilds it.
//
// A [DataPlane] is loaded with [Load], given its epoch and members, and attached
// to a device, or to several: the object for those is another one, so that a
// coordinator with one device pays nothing for them. It can also be run on one
// frame at a time without any device, which is how it is compared with
// [protocol.Coordinator]: by [DataPlane.HandleFrame], by a [Rig], which also addresses
// the copies of multicasts and whose clock is the caller's, or by a [Treadmill], of
// which a frame costs least. One that tells protocol events is a third object. On veth
// devices a program of package prefetch runs in front of it.
package bpf
