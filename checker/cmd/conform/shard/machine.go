// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"maps"
	"slices"

	"dalio/checker/conform/edges"
	"dalio/impl/coordinator/membership"
	"dalio/protocol"
	"dalio/spec/cfg"
	"dalio/spec/tla"
)

// Machine takes the steps of one configuration of Shard.tla with the code.
type Machine struct {
	names *names
	// Decide is what the control plane's logic does. Only Altered puts anything else
	// here.
	Decide func(*membership.Manager, *membership.View) membership.Action
}

// New returns the machine of a configuration, where calls has what clients may do,
// by client and number.
func New(c cfg.Config, calls tla.Value) (*Machine, error) {
	n, err := readNames(c, calls)
	if err != nil {
		return nil, err
	}
	return &Machine{n, (*membership.Manager).Next}, nil
}

// Symmetries returns the sets of model values that may be exchanged.
func (m *Machine) Symmetries() [][]tla.Model { return m.names.symmetries }

// External says whether an action is a fault.
func (m *Machine) External(action string) bool {
	return slices.Contains([]string{"Crash", "CrashControl", "LosePower"}, action)
}

// turn is the taking of all steps from one state.
type turn struct {
	*names
	decide func(*membership.Manager, *membership.View) membership.Action
	from   edges.State
	steps  []edges.Step
	// What kernel and replica have made of the state.
	kernels  map[tla.Model]*protocol.Coordinator
	replicas map[tla.Model]*replica
}

// kernel returns the data plane of x, the caller's own.
func (t *turn) kernel(x tla.Model) *protocol.Coordinator {
	if t.kernels[x] == nil {
		t.kernels[x] = t.names.coordinator(x, t.from.Messages, t.from.Rest, true)
	}
	own := *t.kernels[x]
	own.Sessions = slices.Clone(own.Sessions)
	return &own
}

// replica returns the replica at a node, the caller's own.
func (t *turn) replica(node tla.Model) *replica {
	if t.replicas[node] == nil {
		t.replicas[node] = t.names.replicaOf(node, t.from.Messages, t.from.Rest)
	}
	own := *t.replicas[node]
	own.store, own.sessions = maps.Clone(own.store), maps.Clone(own.sessions)
	own.Replica.Store, own.Replica.Sessions = own.store, own.sessions
	return &own
}

// Successors returns every step of the code from a state.
func (m *Machine) Successors(from edges.State) (steps []edges.Step, err error) {
	defer edges.Failed(&err)
	t := &turn{names: m.names, decide: m.Decide, from: from, kernels: map[tla.Model]*protocol.Coordinator{}, replicas: map[tla.Model]*replica{}}
	t.expectTold()
	for _, c := range t.clients {
		t.invoke(c)
	}
	for _, x := range t.coordinators {
		t.dataSteps(x)
		t.controlSteps(x)
	}
	for _, node := range t.nodes {
		t.replicaSteps(node)
		t.crash(node)
	}
	return t.steps, nil
}

// expectTold fails if a state is not told again as it is: then something of it
// would have no counterpart in the code.
func (t *turn) expectTold() {
	rest := t.from.Rest
	for _, x := range t.coordinators {
		rest = t.tellCoordinator(x, t.kernel(x), t.from.Messages, rest)
	}
	for _, node := range t.nodes {
		rest = t.tellReplica(node, t.replica(node), t.from.Messages, rest)
	}
	for _, c := range t.clients {
		rest = t.tellClient(t.clientOf(c, t.from.Rest, 0), rest)
	}
	if d := tla.Diff(rest, t.from.Rest); len(d) > 0 {
		edges.Fail("a state of the specification has no counterpart: told again, %v", d)
	}
	for _, m := range t.from.Messages {
		r := m.(tla.Record)
		var client tla.Value
		if c := r.Get("client"); c != nil {
			client = c
		}
		if again := t.told(t.message(r), client); !tla.Equal(again, r) {
			edges.Fail("a message of the specification has no counterpart: told again, %v", tla.Diff(again, r))
		}
	}
}

// add notes a step, after which messages are in the network too.
func (t *turn) add(rest tla.Record, sent []tla.Value, action string, arguments ...tla.Value) {
	to := edges.State{Messages: t.from.Messages, Rest: rest}
	if len(sent) > 0 {
		to.Messages = to.Messages.Union(tla.Set(sent))
	}
	t.steps = append(t.steps, edges.Step{Act: append(tla.NewTuple(tla.String(action)), arguments...), To: to})
}
