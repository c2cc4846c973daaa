// SPDX-License-Identifier: Apache-2.0

// Package theory has the specification Dalio.tla in first-order logic, and its
// inductive invariant.
package theory

import (
	"embed"
	"fmt"
	"strings"

	"dalio/spec/proof/logic"
)

//go:embed *.fol
var files embed.FS

// order is that in which the files are read: what is used is said before.
var order = []string{"state", "register", "client", "coordinator", "replica", "broken", "invariant"}

// Text is the whole theory as it is written.
func Text() string {
	var b strings.Builder
	for _, name := range order {
		text, err := files.ReadFile(name + ".fol")
		if err != nil {
			panic(fmt.Sprintf("%s.fol is not embedded: %v", name, err))
		}
		b.Write(text)
	}
	return b.String()
}

// Dalio is the theory of Dalio.tla.
func Dalio() (*logic.Theory, error) { return logic.Parse(Text()) }
