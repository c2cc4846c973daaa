// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"slices"

	"dalio/checker/conform/edges"
	"dalio/protocol"
	"dalio/spec/tla"
)

// Initial returns the state of a shard that has been founded, and in which some
// clients have opened a session.
func (m *Machine) Initial() (s edges.State, err error) {
	defer edges.Failed(&err)
	n := m.names
	each := func(of []tla.Model, value func(tla.Model) tla.Value) tla.Value {
		var pairs []tla.Pair
		for _, v := range of {
			pairs = append(pairs, tla.Pair{Key: v, Value: value(v)})
		}
		return tla.NewFunction(pairs...)
	}
	same := func(v tla.Value) func(tla.Model) tla.Value { return func(tla.Model) tla.Value { return v } }
	var ids []tla.Value
	for _, node := range n.founders {
		ids = append(ids, tla.NewTuple(node, tla.Int(1)))
	}
	founding := fields("coordinator", n.first, "members", tla.NewSet(ids...), "inSync", tla.NewSet(ids...),
		"minted", each(n.nodes, func(node tla.Model) tla.Value {
			if n.founders.Has(node) {
				return tla.Int(1)
			}
			return tla.Int(0)
		}))
	silent := nobodySilent(n.numbers["LastEpoch"])
	rest := fields("configs", tla.NewTuple(founding), "silent", silent, "control", each(n.coordinators, same(n.idle(none))),
		"kernel", each(n.coordinators, same(none)), "nodes", each(n.nodes, same(fields("id", none))), "replies", each(n.clients, same(none)),
		"sessions", each(n.clients, same(none)), "requests", each(n.clients, same(none)), "calls", each(n.clients, same(none)),
		"begun", each(n.clients, same(silent)), "faults", fields("removals", tla.Int(n.numbers["Removals"]), "crashes", tla.Int(n.numbers["Crashes"]),
			"power", tla.Int(n.numbers["PowerLosses"]), "suspects", tla.NewSet()))
	for _, x := range n.coordinators {
		rest = n.tellCoordinator(x, n.kernelAtStart(x, ids), nil, rest)
	}
	for _, node := range n.nodes {
		r := emptyReplica()
		if n.founders.Has(node) {
			r.Assign(n.memberID(tla.NewTuple(node, tla.Int(1))), 1, protocol.Version{})
			r.Floor = protocol.Version{} // As at every joining, see assign.
		}
		rest = n.blank(n.tellReplica(node, r, nil, rest), node)
	}
	for _, c := range n.clients {
		call := fields("status", tla.String("idle"), "op", tla.String("none"), "key", none, "value", none)
		made := &client{name: c, call: call, begun: silent}
		if slot, ok := n.sessionsAtStart[c]; ok {
			made.session.ID = protocol.MintSessionID(1, 1, slices.Index(n.slots, slot))
		}
		rest = n.tellClient(made, rest)
	}
	return edges.State{Rest: rest}, nil
}

// kernelAtStart is the data plane of x: the first coordinator's is open.
func (n *names) kernelAtStart(x tla.Model, ids []tla.Value) *protocol.Coordinator {
	c := n.closedKernel()
	if x != n.first {
		return c
	}
	c.Epoch = 1
	for _, id := range ids {
		i := n.memberID(id).Index()
		c.Known[i] = protocol.Member{ID: n.memberID(id), Address: nodeAddress(i)}
		c.Members |= 1 << i
	}
	c.Serving = c.Members
	for client, slot := range n.sessionsAtStart {
		if i := slices.Index(n.slots, slot); i >= 0 && slices.Contains(n.clients, client) {
			c.Sessions[i].Owner = protocol.MintSessionID(1, 1, i)
		}
	}
	return c
}
