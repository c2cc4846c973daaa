// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"dalio/checker/conform/edges"
	"dalio/impl/coordinator/membership"
)

// Altered lists what the comparison must notice: the control plane's logic with one
// rule changed. Each is to be found in the model and at the action named.
func Altered() []edges.Altered {
	decides := func(model, rule, action string, decide func(*membership.Manager, *membership.View) membership.Action) edges.Altered {
		return edges.Altered{Rule: rule, Model: model, Action: action, Apply: func(m edges.Machine) { m.(*Machine).Decide = decide }}
	}
	return []edges.Altered{
		decides("too_few", "who has not caught up counts as in sync", "EnterSync", func(m *membership.Manager, v *membership.View) membership.Action {
			for address, r := range v.Replicas {
				r.CatchUp.State = membership.Complete
				v.Replicas[address] = r
			}
			return m.Next(v)
		}),
		decides("too_few", "a member leaves the mask before the configuration", "ShrinkMask", func(m *membership.Manager, v *membership.View) membership.Action {
			a := m.Next(v)
			if a.Kind == membership.ShrinkConfig {
				a = membership.Action{Kind: membership.ShrinkMask, Members: a.Config.Members}
			}
			return a
		}),
		decides("failover", "an epoch is recovered from whom nobody has fenced", "Collect", func(m *membership.Manager, v *membership.View) membership.Action {
			a := m.Next(v)
			if a.Kind == membership.Fence {
				a = membership.Action{Kind: membership.Collect, Epoch: a.Epoch, Members: v.Config.Members}
			}
			return a
		}),
	}
}
