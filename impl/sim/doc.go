// SPDX-License-Identifier: Apache-2.0

// Package sim runs a whole shard in one goroutine: clients, replicas, and the real
// bytecode as coordinator, on a network, clocks and disks that are simulated. All
// that happens is chosen by one scheduler from one seed, so a seed gives the same
// run again, byte for byte.
//
// What is real: the coordinator's bytecode (bpf.Rig), its control plane
// (coordinator.Driven), the replica's server with its store, the client's
// protocol.Session and coordinators.Set. What is simulated: time, and everything between them, etcd and
// disks included. docs/simulation.md says more.
//
// A run has three parts. At first faults happen as the plan of the seed says, while
// clients read and write. Then all faults end, and every request must be answered.
// At the end each client reads every key, and the history is audited. Which actions
// of the specification were taken, and which of the situations that its hazards need
// were met, is counted.
package sim
