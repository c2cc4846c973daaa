// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"dalio/traces/event"
)

// names says what things are called in the specification.
type names struct {
	nodes        map[string]int // by address, from 1 on
	ids          map[uint32]member
	last         int // how often a node has joined at most
	coordinators []string
	// versions numbers the configurations, by revision. owners has the coordinator of
	// each epoch, and inSync who was in sync as it began.
	versions map[int64]uint64
	owners   map[uint32]string
	inSync   map[uint32][]uint32
	// synced has who has ever been in sync, and fenced the members that the coordinator
	// of each epoch knows to be fenced.
	synced map[uint32]bool
	fenced map[uint32]map[uint32]bool
	// fencedAt is when members say that they were, in each epoch.
	fencedAt map[place]int64
	// rings has the coordinator of each data plane.
	rings map[uint32]string
}

// place is a member in an epoch.
type place struct{ id, epoch uint32 }

// member is what an id is in the specification: the node, and how often it has joined.
type member struct{ node, time int }

func nameAll(events []*event.Event) *names {
	n := &names{nodes: map[string]int{}, ids: map[uint32]member{}, versions: map[int64]uint64{},
		owners: map[uint32]string{}, inSync: map[uint32][]uint32{}, fenced: map[uint32]map[uint32]bool{}, rings: map[uint32]string{}, synced: map[uint32]bool{}, fencedAt: map[place]int64{}}
	var assigned []*event.Event
	for _, e := range events {
		told := e.Membership
		switch {
		case told == nil:
		case e.Event == "Assigned":
			assigned = append(assigned, e)
			n.nodes[told.At] = 0
		case e.Event == "Fenced":
			n.fencedAt[place{e.Replica, e.Epoch}] = e.Time
		case e.Event == event.Configure:
			n.versions[told.Revision] = e.N
			for _, id := range told.InSync {
				n.synced[id] = true
			}
			if _, known := n.owners[e.Epoch]; !known {
				n.owners[e.Epoch], n.inSync[e.Epoch] = told.Coordinator, told.InSync
			}
		case kindOf(e.By) == control:
			n.ofControl(e)
		}
	}
	for i, address := range slices.Sorted(maps.Keys(n.nodes)) {
		n.nodes[address] = i + 1
	}
	// A node's ids are in the order of their minting.
	slices.SortStableFunc(assigned, func(a, b *event.Event) int { return int(a.Replica>>4) - int(b.Replica>>4) })
	times := map[int]int{}
	for _, e := range assigned {
		if _, again := n.ids[e.Replica]; !again {
			node := n.nodes[e.Membership.At]
			times[node]++
			n.ids[e.Replica] = member{node, times[node]}
			n.last = max(n.last, times[node])
		}
	}
	return n
}

func (n *names) ofControl(e *event.Event) {
	told := e.Membership
	if !slices.Contains(n.coordinators, told.Coordinator) {
		n.coordinators = append(n.coordinators, told.Coordinator)
	}
	switch {
	case e.Event == event.Begin:
		n.rings[told.Ring] = told.Coordinator
	case e.Event == "Fence":
		if n.fenced[e.Epoch] == nil {
			n.fenced[e.Epoch] = map[uint32]bool{}
		}
		for _, id := range told.IDs {
			n.fenced[e.Epoch][id] = true
		}
	}
}

// changesConfig has the steps of a control plane that change the configuration.
var changesConfig = map[string]bool{"ShrinkConfig": true, "Mint": true, "GrowConfig": true, "EnterSync": true, "TakeEpoch": true,
	"CutMembers": true, "Replace": true, "Confirm": true}

func (n *names) id(id uint32) string {
	if m, ok := n.ids[id]; ok {
		return tuple(m.node, m.time)
	}
	return tuple(0, id)
}

func (n *names) set(ids []uint32) string {
	var all []string
	for _, id := range ids {
		all = append(all, n.id(id))
	}
	slices.Sort(all)
	return "{" + strings.Join(all, ", ") + "}"
}

// chosen returns those of ids whose indices are in a set.
func chosen(ids []uint32, set uint16) (some []uint32) {
	for _, id := range ids {
		if set>>(id%16)&1 != 0 {
			some = append(some, id)
		}
	}
	return some
}

func tuple(of ...any) string {
	var all []string
	for _, x := range of {
		all = append(all, fmt.Sprint(x))
	}
	return "<<" + strings.Join(all, ", ") + ">>"
}
