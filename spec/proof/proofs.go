// SPDX-License-Identifier: Apache-2.0

package main

import (
	"dalio/spec/proof/edges"
	"dalio/spec/proof/logic"
	"dalio/spec/proof/solver"
	"dalio/spec/proof/theory"
)

// proof is a theory with what is to be shown of it.
type proof struct {
	name   string
	theory *logic.Theory
	source *edges.Source
	scope  solver.Scope      // where z3 looks for examples
	breaks map[string]broken // what is broken without a cure
	never  map[string]string // actions that are never taken while all cures are kept, and why
}

// broken is what goes wrong without a cure: an action, and what it violates.
type broken struct{ action, conjunct string }

const onlyBroken = "only without a cure"

// proofs are all that there are.
func proofs() ([]proof, error) {
	dalio, err := theory.Dalio()
	if err != nil {
		return nil, err
	}
	shard, err := theory.Shard()
	if err != nil {
		return nil, err
	}
	return []proof{
		{
			name: "Dalio.tla", theory: dalio, source: edges.Dalio, breaks: dalioBreaks, never: dalioNever,
			scope: solver.Scope{Most: 3, Sizes: map[logic.Sort]int{
				"Client": 3, "Replica": 2, "Slot": 2, "Session": 3, "Key": 2, "Value": 3}},
		},
		{
			name: "Shard.tla", theory: shard, source: edges.Shard, breaks: shardBreaks, never: shardNever,
			scope: solver.Scope{Most: 3, Sizes: map[logic.Sort]int{
				"Coordinator": 2, "Node": 2, "Id": 3, "Key": 2, "Slot": 1, "Version": 4}},
		},
	}, nil
}

var dalioNever = map[string]string{
	"HandleReadReply.unknown":         "a defence: TableKnows rules it out",
	"HandleWriteRequest.refused":      "a defence: Copies rules it out",
	"HandleWriteRequest.sequenceOnly": onlyBroken,
	"HandleWriteRequest.sequenceLate": onlyBroken,
	"HandleWriteRequest.recordOnly":   onlyBroken,
	"HandleWriteResponse.failed":      onlyBroken,
	"PublishLate":                     onlyBroken,
	"AbortPending":                    onlyBroken,
}

var shardNever = map[string]string{"TakeEpoch.again": onlyBroken}
