// SPDX-License-Identifier: Apache-2.0

// Package event defines event traces: what a shard's coordinators, replicas and
// clients did, one step of the protocol a line. docs/traces.md tells what each
// field means and how the traces of several processes become one.
//
// A trace is JSON lines. Every line has a teller, and its number among the lines
// of that teller, so that one that is missing is noticed:
//
//	{"by":"coordinator.0","n":7,"time":512,"event":"HandleWriteAck","epoch":1,"members":7,"serving":7,"replica":16,…}
//
// A Recorder writes the lines of one teller, a Reader reads them strictly.
//
// The package imports nothing of the module but package traces, so it knows ids and
// versions as text and numbers only.
package event
