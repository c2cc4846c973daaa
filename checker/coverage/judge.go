// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// excuse is a row of untaken.json: ways that no test goes, and why none can.
type excuse struct {
	// Function and Line say where: the C function, and the text of the line there.
	Function, Line string
	// Way is "taken" or "not taken", of the jump in the bytecode.
	Way string
	// Sites is how many such ways each object has: a line that is part of several
	// handlers has jumps in each.
	Sites map[string]int
	// Sometimes is for what only two processors at the same moment can bring about:
	// up to so many ways, which a test may happen to go.
	Sometimes bool `json:",omitempty"`
	Why       string
}

// readExcuses reads the list. Every row needs a reason.
func readExcuses(path string) ([]excuse, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the list of what no test reaches: %w", err)
	}
	var list []excuse
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i, e := range list {
		if e.Why == "" || e.Way != "taken" && e.Way != "not taken" || len(e.Sites) == 0 {
			return nil, fmt.Errorf("%s: row %d needs why, sites, and a way that is \"taken\" or \"not taken\"", path, i+1)
		}
	}
	return list, nil
}

// site is where an excuse holds: many jumps can be of one line.
type site struct{ object, function, line, way string }

func (s site) String() string {
	return fmt.Sprintf("%s, %s, %q, %s", s.object, s.function, s.line, s.way)
}

// sitesOf groups the ways that were not gone.
func sitesOf(programs []*program, all sources) map[site]int {
	sites := map[site]int{}
	for _, p := range programs {
		for _, w := range p.missed() {
			s := site{p.object, all.function(w.place), all.text(w.place), "not taken"}
			if w.taken {
				s.way = "taken"
			}
			sites[s]++
		}
	}
	return sites
}

// judge compares what was not reached with what is excused, and returns what is
// wrong: ways that nobody excuses, and excuses of what was reached, or is not there.
func judge(missed map[site]int, list []excuse) (complaints []string) {
	excused := map[site]bool{}
	for _, e := range list {
		for object, n := range e.Sites {
			s := site{object, e.Function, e.Line, e.Way}
			switch got := missed[s]; {
			case excused[s]:
				complaints = append(complaints, fmt.Sprintf("%v: excused twice", s))
			case got > n:
				complaints = append(complaints, fmt.Sprintf("%v: not gone at %d jumps, of which %d are excused", s, got, n))
			case got < n && !e.Sometimes:
				complaints = append(complaints, fmt.Sprintf("%v: %d jumps are excused, but only %d never go that way: correct the row", s, n, got))
			}
			excused[s] = true
		}
	}
	for s, n := range missed {
		if !excused[s] {
			complaints = append(complaints, fmt.Sprintf("%v: not gone at %d jumps: test it, or say in untaken.json why it can't be", s, n))
		}
	}
	slices.SortFunc(complaints, strings.Compare)
	return complaints
}
