// SPDX-License-Identifier: Apache-2.0

package edges

import "fmt"

// failure is what Fail ends a machine's function with.
type failure struct{ error }

// Fail ends a function of a machine that has met something of a state or a message,
// or of the code, without a counterpart on the other side. The function must have
// deferred Failed.
func Fail(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// Failed, deferred, makes what Fail was called with the error of the function.
func Failed(err *error) {
	if r := recover(); r != nil {
		f, ok := r.(failure)
		if !ok {
			panic(r)
		}
		*err = f.error
	}
}
