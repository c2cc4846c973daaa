// SPDX-License-Identifier: Apache-2.0

package tlaplus

import (
	"slices"
	"strings"
	"testing"
)

const module = `---- MODULE M ----
(* Counts. *)
Take(r, m) ==  \* not c = d
  /\ m.n < limit /\ r \in Known
  /\ \E s \in Known : s # r
  /\ Cure = TRUE
  /\ x' = [x EXCEPT !.a = m.n + 1, !.b = @ \cup {r}]
  /\ y' = [y EXCEPT ![r].b[s] = 3,
                   ![r].c = IF z[r].d = 4 THEN @ ELSE 5]

Broken(r) ==
  /\ x.a = 2

Init ==
  /\ x = 0
====`

// TestMutants: what becomes of each line that may be changed.
func TestMutants(t *testing.T) {
	m := Module{Name: "M", Text: module, Actions: 13, Constants: []string{"Cure"}, OnlyBroken: []string{"Broken"}}
	var got []string
	for _, mutant := range m.Mutants() {
		operator, _, _ := strings.Cut(mutant.Name, " ")
		got = append(got, operator+": "+mutant.Is)
		if mutant.Module() != "M" || strings.Count(mutant.Text(), "\n") != strings.Count(module, "\n") || mutant.Text() == module {
			t.Errorf("%s changes another thing", mutant.Name)
		}
	}
	want := []string{
		`drop-conjunct: /\ TRUE /\ r \in Known`,
		`drop-conjunct: /\ m.n < limit /\ TRUE`,
		`move-bound: /\ m.n <= limit /\ r \in Known`,
		`negate: /\ m.n < limit /\ r \notin Known`,
		`negate: /\ \E s \in Known : s = r`,
		`swap-quantifier: /\ \A s \in Known : s # r`,
		`swap-set: /\ x' = [x EXCEPT !.a = m.n + 1, !.b = @ \cap {r}]`,
		`drop-update: /\ x' = [x EXCEPT !.a = @, !.b = @ \cup {r}]`,
		`drop-update: /\ x' = [x EXCEPT !.a = m.n + 1, !.b = @]`,
		`off-by-one: /\ x' = [x EXCEPT !.a = m.n + 0, !.b = @ \cup {r}]`,
		`drop-update: /\ y' = [y EXCEPT ![r].b[s] = @,`,
		`negate: ![r].c = IF z[r].d # 4 THEN @ ELSE 5]`,
		`drop-update: ![r].c = @]`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
