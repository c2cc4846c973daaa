// SPDX-License-Identifier: Apache-2.0

package gocode

import (
	"bytes"
	"fmt"
)

// Switch is the environment variable that has a process be one of the mutants, by
// its number; with 0, or without it, the process is the original. [Reached] names a
// file in which the process notes, byte by byte, which mutants' places it comes to.
const (
	Switch  = "DALIO_MUTANT"
	Reached = "DALIO_MUTANTS_REACHED"
)

// helper returns the file that is added to a package with the number of mutants.
func helper(name string, mutants int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, helperText, name, mutants+1, Switch, Reached)
	return b.Bytes()
}

// The places are in memory that is shared with the file, so they are there however
// the process ends.
const helperText = `package %s

import (
	"cmp"
	"os"
	"strconv"
	"syscall"
)

var (
	mutantOn      int
	mutantReached = make([]byte, %d)
)

func init() {
	mutantOn, _ = strconv.Atoi(os.Getenv(%q))
	name := os.Getenv(%q)
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = f.Truncate(int64(len(mutantReached)))
	}
	if err == nil {
		mutantReached, err = syscall.Mmap(int(f.Fd()), 0, len(mutantReached), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	}
	if err != nil {
		panic(err)
	}
}

type mutantInteger interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

func mutantIs(n int) bool {
	mutantReached[n] = 1
	return mutantOn == n
}

func mutantNot(n int, b bool) bool { return mutantIs(n) != b }

func mutantAnd(n int, a bool, b func() bool) bool {
	if mutantIs(n) {
		return a || b()
	}
	return a && b()
}

func mutantOr(n int, a bool, b func() bool) bool {
	if mutantIs(n) {
		return a && b()
	}
	return a || b()
}

func mutantLess[T cmp.Ordered](n int, a, b T) bool {
	if mutantIs(n) {
		return a <= b
	}
	return a < b
}

func mutantLessOrEqual[T cmp.Ordered](n int, a, b T) bool {
	if mutantIs(n) {
		return a < b
	}
	return a <= b
}

func mutantAdd[T mutantInteger](n int, a, b T) T {
	if mutantIs(n) {
		return a - b
	}
	return a + b
}

func mutantSub[T mutantInteger](n int, a, b T) T {
	if mutantIs(n) {
		return a + b
	}
	return a - b
}

func mutantConstant[T mutantInteger](n int, c T) T {
	if mutantIs(n) {
		return c + 1
	}
	return c
}
`
