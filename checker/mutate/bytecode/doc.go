// SPDX-License-Identifier: Apache-2.0

// Package bytecode has the operators that make mutants of a BPF program: each
// changes one instruction, and nothing else moves.
package bytecode
