// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"dalio/spec/proof/eval"
	"dalio/spec/proof/logic"
	"dalio/spec/tla"
)

// Source is a specification whose steps TLC prints.
type Source struct {
	Module    string   // which prints them
	variables []string // in the order in which it does
	next      string   // its steps, with their names
	view      string   // what tells its states apart
	mapping   func(*logic.Theory, tla.Value) (*mapping, error)
	set       map[string]func(*mapping, *eval.State, tla.Value) // has a state agree with a variable
	finish    func(*mapping, *eval.State)                       // has it agree with itself, may be nil
	// aside is the action of steps that leave all of the theory alone, where there
	// are such; then a state of the theory stands for many of the specification.
	aside string
	// loose are actions of which the theory has more steps than the specification.
	loose    []string
	register bool // it prints the register's variables
}

// Dalio is Dalio.tla.
var Dalio = &Source{
	Module: "ProofEdges",
	variables: []string{"messages", "losses", "nextSeq", "entries", "minted", "unpublished", "store", "collect",
		"sessions", "requests", "calls", "floors", "sequenced", "committed"},
	next:     "WholeNext",
	view:     "Whole",
	mapping:  dalioMapping,
	set:      dalioVariables,
	finish:   (*mapping).newest,
	register: true,
}

// Shard is Shard.tla, without clients.
var Shard = &Source{
	Module:    "ShardEdges",
	variables: []string{"configs", "kernels", "controls", "silent", "members", "written", "acknowledged", "committed", "faults"},
	next:      "EdgeNext",
	view:      "View",
	mapping:   shardMapping,
	set:       shardVariables,
	aside:     "Data",
	loose:     []string{"HandleWriteRequest", "Settle"},
}

// state is the state of the theory after a step from s that changes what to
// tells, in the order of the variables, where it is not nil.
func (src *Source) state(m *mapping, s *eval.State, to []tla.Value) (*eval.State, error) {
	s = s.Fork()
	err := guarded(func() {
		for i, v := range to {
			if v != nil {
				src.set[src.variables[i]](m, s, v)
			}
		}
		if src.finish != nil {
			src.finish(m, s)
		}
	})
	return s, err
}
