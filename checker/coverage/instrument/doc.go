// SPDX-License-Identifier: Apache-2.0

// Package instrument counts how often each basic block of a BPF program runs, and
// which way each of its conditional jumps goes, without the program's help: it puts
// counters into the compiled instructions.
//
//	plan, err := instrument.Analyze(spec.Instructions)
//	counters, err := instrument.NewCounters(plan.Counters)
//	err = plan.Instrument(spec, counters, 0) // before spec is loaded
//	… // run the program
//	hits, err := instrument.Read(counters)
//
// A counter is one atomic addition to an array map's value. It needs two registers,
// and takes two that hold nothing at that place which is read later; if there are
// not so many, it saves others on the stack, below what the program uses of it. So
// the program behaves as it did.
//
// There is a counter at the start of each block, and one behind each conditional
// jump that counts when it is not taken; how often it is taken is the difference.
package instrument
