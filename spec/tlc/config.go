// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// config is what a TLC configuration file says.
type config struct {
	constants  map[string]string // "Gate": "= TRUE", "Wanted": "<- TwoWrites"
	properties []string          // invariants and properties that are checked
	others     []string          // everything else, statement by statement
}

// parseConfig reads the subset of TLC's configuration syntax that the files of
// the specification keep to: one statement or constant a line.
func parseConfig(text string) (config, error) {
	c := config{constants: map[string]string{}}
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
			c.properties = append(c.properties, fields[1:]...)
		case "SPECIFICATION", "SYMMETRY", "CONSTRAINT", "ACTION_CONSTRAINT", "VIEW", "CHECK_DEADLOCK":
			inConstants = false
			c.others = append(c.others, strings.Join(fields, " "))
		default:
			if !inConstants || len(fields) < 3 || fields[1] != "=" && fields[1] != "<-" {
				return config{}, fmt.Errorf("line %d: %q is not understood", number+1, line)
			}
			if _, twice := c.constants[fields[0]]; twice {
				return config{}, fmt.Errorf("line %d: constant %s is given twice", number+1, fields[0])
			}
			c.constants[fields[0]] = strings.Join(fields[1:], " ")
		}
	}
	return c, nil
}

// checkTwins reports how a configuration that must fail is not just its
// passing twin with the constant turned off and a property of the twin's.
func checkTwins(fail, twin config, constant, property string) error {
	if !slices.Equal(fail.properties, []string{property}) {
		return fmt.Errorf("it checks %v and must check %s alone", fail.properties, property)
	}
	if !slices.Contains(twin.properties, property) {
		return fmt.Errorf("its twin does not check %s", property)
	}
	if !slices.Equal(fail.others, twin.others) {
		return fmt.Errorf("it says %q where its twin says %q", fail.others, twin.others)
	}
	if fail.constants[constant] != "= FALSE" || twin.constants[constant] != "= TRUE" {
		return fmt.Errorf("constant %s is not FALSE here and TRUE in its twin", constant)
	}
	expected := maps.Clone(twin.constants)
	expected[constant] = "= FALSE"
	for name, value := range fail.constants {
		if expected[name] != value {
			return fmt.Errorf("constant %s differs from its twin's too", name)
		}
	}
	if len(fail.constants) != len(expected) {
		return fmt.Errorf("it has %d constants, its twin %d", len(fail.constants), len(expected))
	}
	return nil
}

// replaceProperty gives the text of a configuration that checks an invariant
// in place of the property it has.
func replaceProperty(text, property, invariant string) (string, error) {
	line := "PROPERTY " + property + "\n"
	if strings.Count(text, line) != 1 {
		return "", fmt.Errorf("there is no single line %q", strings.TrimSpace(line))
	}
	return strings.Replace(text, line, "INVARIANT "+invariant+"\n", 1), nil
}
