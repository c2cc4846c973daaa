// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"dalio/traces/event"
)

// render writes the module ShardTrace, which TraceShard.tla says how to read. The runs
// are of one shard.
func render(to io.Writer, runs []*Run) error {
	out := bufio.NewWriter(to)
	fmt.Fprint(out, "---- MODULE ShardTrace ----\nEXTENDS Integers, Sequences\n")
	var names []string
	epochs, times := 1, 1
	for i, r := range runs {
		names = append(names, fmt.Sprint("Run", i+1))
		fmt.Fprintf(out, "%s == ", names[i])
		r.render(out)
		epochs, times = max(epochs, len(r.owners)+1), max(times, r.last)
	}
	r := runs[0]
	var nodes, coordinators, founders []string
	for i := range len(r.nodes) {
		nodes = append(nodes, fmt.Sprint(i+1))
	}
	for _, c := range r.coordinators {
		coordinators = append(coordinators, strconv.Quote(c))
	}
	opened := r.steps[r.founded]
	for _, id := range opened.events[0].Membership.IDs {
		founders = append(founders, fmt.Sprint(r.nodeOf(id)))
	}
	fmt.Fprintf(out, `Runs == <<%s>>
TraceNodes == {%s}
TraceFounders == {%s}
TraceCoordinators == {%s}
TraceFirst == %q
TraceLastEpoch == %d
TraceLastId == %d
====
`, strings.Join(names, ", "), strings.Join(nodes, ", "), strings.Join(founders, ", "), strings.Join(coordinators, ", "), opened.x, epochs, times)
	return out.Flush()
}

// render writes one run.
func (r *Run) render(out io.Writer) {
	tellers, told := map[string]int{}, []any{}
	var history []string
	fmt.Fprint(out, "[events |-> <<\n")
	for i, s := range r.steps {
		if _, ok := tellers[s.by]; !ok {
			tellers[s.by] = len(tellers) + 1
			told = append(told, 0)
			if kindOf(s.by) == dataPlane {
				told[len(told)-1] = s.from - 1 // A trace in order may begin anywhere.
			}
		}
		if i <= r.founded {
			told[tellers[s.by]-1] = s.to
		}
		if i <= r.founded && s.action == event.Configure {
			history = append(history, fmt.Sprintf("<<%q>> \\o %s", s.x, s.about))
		}
		about := s.about
		if about == "" {
			about = "<<>>"
		}
		if i > 0 {
			fmt.Fprint(out, ",\n")
		}
		fmt.Fprint(out, tuple(tellers[s.by], s.from, s.to, strconv.Quote(s.action), strconv.Quote(s.x), about, truth(s.killed)))
	}
	fmt.Fprintf(out, ">>,\nstart |-> %d, told |-> %s, history |-> <<%s>>]\n", r.founded+2, tuple(told...), strings.Join(history, ", "))
}

func truth(b bool) string {
	if b {
		return "TRUE"
	}
	return "FALSE"
}
