// SPDX-License-Identifier: Apache-2.0

// Package systems measures whole replicated stores on the same operations: Dalio, etcd
// with three members, and Redis with two replicas and WAIT, each with three copies of
// the data on this machine, and each once with what is acknowledged in memory only and
// once on disk.
//
// All get the same load from the same process, whose clients are each system's own in
// Go: YCSB's A, B and C (half, 5 % and none of the operations writes), keys by Zipf 0.99,
// a number of clients with one request open each. Systems take turns within a round, so
// that what the machine does meanwhile meets all of them.
//
// What is compared are operations a second; processor time of the whole machine and
// of all but the clients' process, for each operation; and latencies. What the figures
// don't say: all processes share the machine, so that three copies on three machines
// would do more; Dalio's frames pass virtual links and a bridge between namespaces,
// where etcd and Redis have the loopback device.
package systems
