// SPDX-License-Identifier: Apache-2.0

// Package cfg reads TLC's configuration files, as those of the specification are
// written.
package cfg

import (
	"fmt"
	"strings"
)

// Config is what a TLC configuration file says.
type Config struct {
	Constants  map[string]string // "Gate": "= TRUE", "Wanted": "<- TwoWrites"
	Properties []string          // invariants and properties that are checked
	Others     []string          // everything else, statement by statement
}

// Parse reads the subset of TLC's configuration syntax that the files of
// the specification keep to: one statement or constant a line.
func Parse(text string) (Config, error) {
	c := Config{Constants: map[string]string{}}
	inConstants := false
	for number, line := range strings.Split(text, "\n") {
		if comment := strings.Index(line, `\*`); comment >= 0 {
			line = line[:comment]
		}
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		switch fields[0] {
		case "CONSTANTS":
			inConstants = true
		case "INVARIANT", "PROPERTY":
			inConstants = false
			c.Properties = append(c.Properties, fields[1:]...)
		case "SPECIFICATION", "INIT", "NEXT", "SYMMETRY", "CONSTRAINT", "ACTION_CONSTRAINT", "VIEW", "CHECK_DEADLOCK":
			inConstants = false
			c.Others = append(c.Others, strings.Join(fields, " "))
		default:
			if !inConstants || len(fields) < 3 || fields[1] != "=" && fields[1] != "<-" {
				return Config{}, fmt.Errorf("line %d: %q is not understood", number+1, line)
			}
			if _, twice := c.Constants[fields[0]]; twice {
				return Config{}, fmt.Errorf("line %d: constant %s is given twice", number+1, fields[0])
			}
			c.Constants[fields[0]] = strings.Join(fields[1:], " ")
		}
	}
	return c, nil
}
