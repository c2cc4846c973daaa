// SPDX-License-Identifier: Apache-2.0

package solver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"dalio/spec/proof/logic"
)

// Needs tells of each goal of action a which conjuncts of the invariant z3 used to
// prove it. Others might do, and fewer; where it finds none in time, none are told.
func Needs(ctx context.Context, t *logic.Theory, a *logic.Action, limit time.Duration) (map[string][]string, error) {
	s, err := start(ctx, limit)
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.tell("(set-option :produce-unsat-cores true)\n" + prelude(t, nil))
	for _, i := range t.Invariants {
		s.tell(fmt.Sprintf("(assert (! %s :named |use %s|))\n", i.Formula.SMT(), i.Name))
	}
	s.tell(step(a))
	needs := map[string][]string{}
	for _, g := range goals(t, a) {
		if uses := a.Uses[g.name]; len(uses) > 0 {
			needs[g.name] = uses
			continue
		}
		if g.same {
			continue
		}
		s.tell("(push)\n" + assert(logic.Not(g.formula)))
		v, err := s.ask()
		if err != nil {
			return nil, err
		}
		if v != Unsat { // with cores z3 proves less in the same time
			s.tell("(pop)\n")
			continue
		}
		s.tell("(get-unsat-core)\n")
		line, err := s.out.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("z3 ended early: %w", err)
		}
		needs[g.name] = []string{}
		for _, part := range strings.Split(line, "|") {
			if name, ok := strings.CutPrefix(part, "use "); ok {
				needs[g.name] = append(needs[g.name], name)
			}
		}
		slices.Sort(needs[g.name])
		s.tell("(pop)\n")
	}
	return needs, nil
}
