// SPDX-License-Identifier: Apache-2.0

// Package edges compares the code with the specification, step by step: every step
// of every conformance model (spec/conform), as TLC prints it with its arguments, is
// taken by the code from the same state, and must lead to the same state; and the
// code must take no other step. Then the code searches by itself for all states that
// it can reach, which must be those that TLC has found.
//
// Which code it is, a Machine says.
package edges
