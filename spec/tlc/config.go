// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"dalio/spec/cfg"
)

// checkTwins reports how a configuration that must fail is not just its
// passing twin with the constant turned off and a property of the twin's.
func checkTwins(fail, twin cfg.Config, constant, property string) error {
	if !slices.Equal(fail.Properties, []string{property}) {
		return fmt.Errorf("it checks %v and must check %s alone", fail.Properties, property)
	}
	if !slices.Contains(twin.Properties, property) {
		return fmt.Errorf("its twin does not check %s", property)
	}
	if !slices.Equal(fail.Others, twin.Others) {
		return fmt.Errorf("it says %q where its twin says %q", fail.Others, twin.Others)
	}
	if fail.Constants[constant] != "= FALSE" || twin.Constants[constant] != "= TRUE" {
		return fmt.Errorf("constant %s is not FALSE here and TRUE in its twin", constant)
	}
	expected := maps.Clone(twin.Constants)
	expected[constant] = "= FALSE"
	for name, value := range fail.Constants {
		if expected[name] != value {
			return fmt.Errorf("constant %s differs from its twin's too", name)
		}
	}
	if len(fail.Constants) != len(expected) {
		return fmt.Errorf("it has %d constants, its twin %d", len(fail.Constants), len(expected))
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
