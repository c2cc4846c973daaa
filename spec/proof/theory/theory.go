// SPDX-License-Identifier: Apache-2.0

// Package theory has the specification in first-order logic, with inductive
// invariants: Dalio.tla in whole; of Shard.tla membership, failover, and which
// writes replicas hold.
package theory

import (
	"embed"
	"fmt"
	"strings"

	"dalio/spec/proof/logic"
)

//go:embed *.fol shard/*.fol
var files embed.FS

// What is used in one file is said in one before it.
var (
	dalio = []string{"state", "register", "client", "coordinator", "replica", "broken", "invariant"}
	shard = []string{"shard/state", "shard/data", "shard/members", "shard/failover", "shard/invariant"}
)

// Text is the theory of Dalio.tla as it is written.
func Text() string { return text(dalio) }

func text(names []string) string {
	var b strings.Builder
	for _, name := range names {
		text, err := files.ReadFile(name + ".fol")
		if err != nil {
			panic(fmt.Sprintf("%s.fol is not embedded: %v", name, err))
		}
		b.Write(text)
	}
	return b.String()
}

// Dalio is the theory of Dalio.tla.
func Dalio() (*logic.Theory, error) { return parse("Dalio.tla", dalio) }

// Shard is the theory of Shard.tla.
func Shard() (*logic.Theory, error) { return parse("Shard.tla", shard) }

func parse(of string, names []string) (*logic.Theory, error) {
	t, err := logic.Parse(text(names))
	if err != nil {
		return nil, fmt.Errorf("the theory of %s: %w", of, err)
	}
	return t, nil
}
