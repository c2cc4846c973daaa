// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"

	"dalio/checker/linear"
	"dalio/traces"
)

// maxLines is how many operations of a core are printed.
const maxLines = 20

// print says what a person needs to know about one history.
func (a *audit) print(h history) {
	if h.err != nil {
		return
	}
	operations, bad, open, explained := 0, 0, 0, 0
	for _, k := range h.report.Keys {
		operations += k.Operations
		if k.ByVersions {
			explained++
		}
		switch k.Verdict {
		case linear.NotLinearizable:
			bad++
		case linear.Undecided:
			open++
		}
	}
	keys := count(len(h.report.Keys), "key")
	if explained > 0 {
		keys += fmt.Sprintf(", %d of them by their versions", explained)
	}
	fmt.Fprintf(a.stdout, "%s: %s (%s, %s)\n", h.path, h.report.Verdict, count(operations, "operation"), keys)
	for _, k := range h.report.Keys {
		switch k.Verdict {
		case linear.NotLinearizable:
			fmt.Fprintf(a.stdout, "  key %q is not linearizable; of its %s, %d suffice to show it:\n",
				k.Key, count(k.Operations, "operation"), len(k.Core))
			for i, o := range k.Core[:min(len(k.Core), maxLines)] {
				fmt.Fprintf(a.stdout, "    %s  %s\n", linear.Label(i), line(o))
			}
			if len(k.Core) > maxLines {
				fmt.Fprintf(a.stdout, "    … and %d more\n", len(k.Core)-maxLines)
			}
			if !k.Minimal {
				fmt.Fprintf(a.stdout, "    (the time ran out before fewer were tried)\n")
			}
			fmt.Fprintf(a.stdout, "    %s\n", k.Why)
		case linear.Undecided:
			fmt.Fprintf(a.stdout, "  key %q is undecided (%s): %s\n", k.Key, count(k.Operations, "operation"), k.Why)
		}
	}
	if bad+open > 0 {
		fmt.Fprintf(a.stdout, "  %d of %s not linearizable, %d undecided\n", bad, count(len(h.report.Keys), "key"), open)
	}
}

// line describes one operation in a line.
func line(o linear.Operation) string {
	var s strings.Builder
	fmt.Fprintf(&s, "line %d: process %d ", o.Line, o.Process)
	switch {
	case o.F == traces.Write:
		fmt.Fprintf(&s, "writes %q", *o.Value)
	case o.F == traces.Delete:
		s.WriteString("deletes the key")
	case o.Value == nil:
		s.WriteString("reads that the key is absent")
	default:
		fmt.Fprintf(&s, "reads %q", *o.Value)
	}
	fmt.Fprintf(&s, ", from %d ", o.Invoked)
	if o.Completed == nil {
		s.WriteString("on, outcome unknown")
	} else {
		fmt.Fprintf(&s, "to %d", *o.Completed)
	}
	return s.String()
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%s %ss", thousands(n), noun)
}

// thousands prints a number that is not negative, with commas between groups of
// three digits.
func thousands(n int) string {
	const group = 1000
	if n < group {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/group), n%group)
}
