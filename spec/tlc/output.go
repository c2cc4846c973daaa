// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"dalio/spec/jar"
)

// output is what TLC printed, as far as it matters.
type output struct {
	jar.Counts
	Errors []string       // positions within modules are cut out
	Taken  map[string]int // steps of each action, where coverage was asked for
}

var (
	checkedLine  = regexp.MustCompile(`^Progress: ([\d,]+) states checked\b`)
	positionPart = regexp.MustCompile(` line \d+, col \d+ to line \d+, col \d+`)
)

// Lines that begin with "Error:" and only introduce the counterexample.
var introductions = []string{
	"The behavior up to this point is:",
	"The following behavior constitutes a counter-example:",
}

// parseOutput reads what TLC printed. The modules are needed to name the actions in
// the coverage.
func parseOutput(text string, sources modules) (output, error) {
	out := output{Taken: map[string]int{}}
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r")
		out.Read(line)
		if message, isError := strings.CutPrefix(line, "Error: "); isError && !slices.Contains(introductions, message) {
			out.Errors = append(out.Errors, positionPart.ReplaceAllString(message, ""))
		}
		if m := checkedLine.FindStringSubmatch(line); m != nil { // Of a simulation; the last is final.
			out.Generated = jar.Number(m[1])
		}
		if m := coverageLine.FindStringSubmatch(line); m != nil {
			action, err := sources.actionAt(m)
			if err != nil {
				return output{}, err
			}
			// TLC prints the coverage again and again; the last is final.
			out.Taken[action] = jar.Number(m[7])
		}
	}
	return out, nil
}

// judgeModel reports how a run is not what the manifest says of a model,
// but for its coverage.
func judgeModel(model Model, exit int, out output) error {
	if exit != 0 || !out.Completed || len(out.Errors) > 0 || out.Left != 0 {
		return fmt.Errorf("TLC ends with status %d, completed %t, %d states left, errors %q", exit, out.Completed, out.Left, out.Errors)
	}
	if out.Generated != model.Generated || out.Distinct != model.Distinct || out.Depth != model.Depth {
		return fmt.Errorf("the manifest says %d states generated, %d distinct, depth %d", model.Generated, model.Distinct, model.Depth)
	}
	return nil
}

// judgeSimulation reports how a simulation found something wrong, or too little. TLC
// says nothing at the end where it has found nothing.
func judgeSimulation(s Simulation, exit int, out output) error {
	if exit != 0 || len(out.Errors) > 0 {
		return fmt.Errorf("TLC ends with status %d, errors %q", exit, out.Errors)
	}
	if out.Generated < s.States {
		return fmt.Errorf("%d states were checked, and it must be %d", out.Generated, s.States)
	}
	return nil
}

// judgeRefuted reports how a run did not end in exactly the expected violation.
func judgeRefuted(expected verdict, exit int, out output) error {
	if exit != expected.exit || !slices.Equal(out.Errors, expected.errors) || out.Completed {
		return fmt.Errorf("TLC ends with status %d and errors %q; it must be status %d and %q", exit, out.Errors, expected.exit, expected.errors)
	}
	return nil
}
