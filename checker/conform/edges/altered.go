// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"errors"
	"fmt"
	"strings"
)

// Altered is a machine with one rule of the code changed, by which it is shown that
// the comparison can fail.
type Altered struct {
	Rule   string // what is wrong with it
	Model  string // in which it is noticed
	Action string // the first step at which that happens
	Apply  func(Machine)
}

// expectNoticed compares altered machines with the graph: each must differ from it,
// at the action named, and be told with the state from which that leads.
func (a Altered) expectNoticed(g *Graph, m Machine) error {
	a.Apply(m)
	err := Compare(g, m)
	switch {
	case err == nil:
		return fmt.Errorf("nobody notices that %s", a.Rule)
	case !errors.As(err, new(*Difference)) || !strings.Contains(err.Error(), a.Action+": ") || !strings.Contains(err.Error(), "  calls = "):
		return fmt.Errorf("that %s is noticed, but not at %s from its state: %w", a.Rule, a.Action, err)
	}
	return nil
}
