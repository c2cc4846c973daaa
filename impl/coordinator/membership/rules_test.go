// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"dalio/impl/config"
)

// broken says which rule is not kept.
type broken struct {
	// floor and sessions: the floor is not kept below pending writes, an epoch is
	// opened without the session records.
	floor, sessions bool
	// step puts another step in place of the one named.
	step func(*Manager, *View, Action) Action
}

// instead returns a rule broken by another step in place of those of a kind.
func instead(of Kind, step func(*View, Action) Action) broken {
	return broken{step: func(_ *Manager, v *View, a Action) Action {
		if a.Kind == of {
			return step(v, a)
		}
		return a
	}}
}

type found struct{ message string }

type finder struct{}

func (finder) Fatalf(format string, args ...any) { panic(found{fmt.Sprintf(format, args...)}) }

// TestEveryRuleIsNeeded breaks one rule at a time, and must find out.
func TestEveryRuleIsNeeded(t *testing.T) {
	for name, b := range map[string]broken{
		"the floor is below every pending write":   {floor: true},
		"an epoch begins with the session records": {sessions: true},
		"a successor confirms the configuration": {step: func(m *Manager, v *View, a Action) Action {
			if a.Kind == Confirm {
				m.sure = true
				return m.Next(v)
			}
			return a
		}},
		"the mask shrinks after the configuration": instead(ShrinkConfig, func(v *View, a Action) Action {
			if count(v.Kernel.Members) > len(a.Config.Members) {
				return Action{Kind: ShrinkMask, Members: a.Config.Members}
			}
			return a
		}),
		"the mask grows before the configuration": instead(GrowMask, func(v *View, a Action) Action {
			joiner := a.Members[len(a.Members)-1]
			return Action{Kind: GrowConfig, Config: v.Config.WithMember(joiner), Members: []config.Member{joiner}}
		}),
		"the serving set shrinks first": instead(ShrinkServing, func(v *View, a Action) Action {
			c := v.Config
			for _, m := range v.Config.Members {
				if a.Serving>>m.ID.Index()&1 == 0 {
					c = c.WithoutMember(m.ID)
				}
			}
			if c.InSync() == 0 || len(c.Members) == len(v.Config.Members) {
				return a
			}
			return Action{Kind: ShrinkConfig, Config: c}
		}),
		"a member is in sync when it has caught up": instead(CatchUpOn, func(v *View, a Action) Action {
			m := a.Members[0]
			m.InSync = true
			return Action{Kind: EnterSync, Config: v.Config.WithMember(m), Members: []config.Member{m}}
		}),
		"recovery takes from members in sync only": {step: func(m *Manager, v *View, a Action) Action {
			if a.Kind == Collect {
				a.Members = nil
				for _, member := range v.Config.Members {
					if m.taking.fenced[member.ID] {
						member.InSync = true
						a.Members = append([]config.Member{member}, a.Members...)
					}
				}
				a.Members = a.Members[:1]
			}
			return a
		}},
		"each member is given what it lacks": {step: func(m *Manager, v *View, a Action) Action {
			if a.Kind == Install {
				m.Succeeded(&a, v.Now)
				return m.Next(v)
			}
			return a
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(2000) {
				for _, durable := range []bool{false, true} {
					if message := findOut(b, seed, durable); message != "" {
						t.Logf("found with seed %d, durable %v: %s", seed, durable, message)
						return
					}
				}
			}
			t.Error("nobody noticed")
		})
	}
}

// TestFixedWalks takes walks that are the same each time, so that what goes wrong
// in one of them goes wrong again.
func TestFixedWalks(t *testing.T) {
	for seed := range uint64(600) {
		for _, durable := range []bool{false, true} {
			if message := findOut(broken{}, seed, durable); message != "" {
				t.Fatalf("seed %d, durable %v: %s", seed, durable, message)
			}
		}
	}
}

// findOut walks with a broken rule, and returns the last line of what was noticed.
func findOut(b broken, seed uint64, durable bool) (message string) {
	defer func() {
		r := recover()
		if f, ok := r.(found); ok {
			lines := strings.Split(f.message, "\n")
			message = lines[len(lines)-1]
		} else if r != nil {
			panic(r)
		}
	}()
	w := newWorld(finder{}, 3, 2, durable)
	w.broken = b
	r := rand.New(rand.NewPCG(seed, 1))
	w.walk(r.Uint64)
	return ""
}
