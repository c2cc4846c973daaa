// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"dalio/spec/proof/logic"
	"dalio/spec/proof/solver"
)

// printNeeds prints the table of README.md: for each conjunct of the invariant the
// actions whose proofs use it for something else than itself.
func printNeeds(ctx context.Context, out io.Writer, t *logic.Theory, limit time.Duration) error {
	users := map[string][]string{}
	for _, a := range t.Actions {
		needs, err := solver.Needs(ctx, t, a, limit)
		if err != nil {
			return err
		}
		for goal, names := range needs {
			for _, n := range names {
				if n != goal && !slices.Contains(users[n], a.Name) && !strings.HasPrefix(a.Name, "Lose") {
					users[n] = append(users[n], a.Name)
				}
			}
		}
	}
	fmt.Fprintln(out, "| conjunct | says | used by the proofs of |\n|---|---|---|")
	for _, n := range t.Invariants {
		slices.Sort(users[n.Name])
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", n.Name, n.Words, strings.Join(users[n.Name], ", "))
	}
	return nil
}
