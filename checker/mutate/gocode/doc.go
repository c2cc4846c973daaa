// SPDX-License-Identifier: Apache-2.0

// Package gocode makes mutants of Go packages. All mutants of a package are built in
// at once, each behind a switch, so that it is compiled once: a test's process is
// told by its environment which of them to be.
package gocode
