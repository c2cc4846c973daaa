// SPDX-License-Identifier: Apache-2.0

// Package pairs holds the coordinator's bytecode, and the reference model, to the
// total handler of the specification, spec/Handler.tla: for every pair of a state
// and a packet that spec/MCHandler.tla pins, it writes the state into the kernel's
// maps, has the program handle the packet, and compares what comes out, why a frame
// is dropped, and all of the state afterwards with what the handler allows.
//
//	read.go      what TLC prints: packets, states, results
//	naming.go    from names of the specification to indices, numbers and bytes
//	concrete.go  states, packets and results as the coordinator has them
//	handle.go    one pair, on the model and on the bytecode
//	symmetry.go  which pairs are the same but for names
//	matrix.go    which branch was taken on which condition of the table
//	paths.go     the same pairs, reached from the start by packets alone
//	control.go   what the control plane makes of a state
//	excuses.go   the branches, and which cells of the matrix are empty
//	options.go   what to run, and what is counted
//	run.go       all of it
package pairs
