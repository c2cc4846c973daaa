// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"fmt"
	"slices"
	"strings"

	"dalio/checker/conform/edges"
	"dalio/protocol"
	"dalio/spec/cfg"
	"dalio/spec/tla"
)

const (
	none   = tla.Model("None")
	absent = tla.Model("Absent")
)

// names has the constants of a configuration, and says what each name of the
// specification is in the code, and back. A name without a counterpart is an error,
// and ends a step by edges.Fail.
type names struct {
	clients, coordinators, nodes, slots []tla.Model
	keys                                []string
	numbers                             map[string]int // constants that are numbers
	flags                               map[string]bool
	calls                               tla.Value
	symmetries                          [][]tla.Model
	first                               tla.Model
	founders                            tla.Set
	sessionsAtStart                     map[tla.Model]tla.Model // slots, by client
}

// chosen are the flags that a conformance model may set either way; all others are
// cures, and must be on.
var chosen = map[string]bool{"Survives": true, "Settles": true, "Collects": true, "Exact": true, "Durable": true}

func readNames(c cfg.Config, calls tla.Value) (*names, error) {
	n := &names{calls: calls, numbers: map[string]int{}, flags: map[string]bool{}}
	for name, text := range c.Constants {
		value, plain := strings.CutPrefix(text, "= ")
		if !plain {
			continue
		}
		v, err := tla.Parse(value)
		if err != nil {
			return nil, fmt.Errorf("constant %s: %w", name, err)
		}
		switch v := v.(type) {
		case tla.Int:
			n.numbers[name] = int(v)
		case tla.Bool:
			if n.flags[name] = bool(v); !bool(v) && !chosen[name] {
				return nil, fmt.Errorf("cure %s is turned off", name)
			}
		case tla.Set:
			n.set(name, v)
		case tla.Model:
			if name == "First" {
				n.first = v
			}
		}
	}
	if n.flags["Exact"] || n.flags["Durable"] || n.numbers["PowerLosses"] > 0 {
		return nil, fmt.Errorf("a conformance model is not judged, and its replicas keep nothing on disks")
	}
	switch c.Constants["SlotOf"] {
	case "<- OwnSlots":
		n.sessionsAtStart = map[tla.Model]tla.Model{"a": "s1", "b": "s2"}
	case "<- SharedSlot":
		n.sessionsAtStart = map[tla.Model]tla.Model{"a": "s1"}
	default:
		return nil, fmt.Errorf("SlotOf %s is not known here", c.Constants["SlotOf"])
	}
	n.symmetries = [][]tla.Model{n.nodes}
	return n, nil
}

func (n *names) set(name string, v tla.Set) {
	var models []tla.Model
	for _, e := range v {
		switch e := e.(type) {
		case tla.Model:
			models = append(models, e)
		case tla.String:
			if name == "Keys" {
				n.keys = append(n.keys, string(e))
			}
		}
	}
	switch name {
	case "Clients":
		n.clients = models
	case "Coordinators":
		n.coordinators = models
	case "Nodes":
		n.nodes = models
	case "Founders":
		n.founders = v
	case "Slots":
		n.slots = models
	}
}

func index(all []tla.Model, v tla.Value) int {
	m, _ := v.(tla.Model)
	i := slices.Index(all, m)
	if i < 0 {
		edges.Fail("%v is none of %v", v, all)
	}
	return i
}

// A member's id is its node and how often that has joined: index and generation.
func (n *names) memberID(id tla.Value) protocol.ReplicaID {
	if id == none {
		return 0
	}
	t := id.(tla.Tuple)
	return protocol.ReplicaID(int(t[1].(tla.Int))*protocol.MaxMembers + index(n.nodes, t[0]))
}

func (n *names) member(id protocol.ReplicaID) tla.Value {
	if id == 0 {
		return none
	}
	if id.Index() >= len(n.nodes) {
		edges.Fail("member %d is at no node", id)
	}
	return tla.NewTuple(n.nodes[id.Index()], tla.Int(id/protocol.MaxMembers))
}

func (n *names) bits(ids tla.Value) (set uint16) {
	for _, id := range ids.(tla.Set) {
		set |= 1 << n.memberID(id).Index()
	}
	return set
}

func address(last byte) protocol.Address {
	return protocol.Address{IP: [4]byte{10, 0, 0, last}, Port: protocol.Port, MAC: [6]byte{2, 0, 0, 0, 0, last}}
}

func nodeAddress(i int) protocol.Address { return address(byte(10 + i)) }

func (n *names) clientAddress(c tla.Value) protocol.Address {
	return address(byte(100 + index(n.clients, c)))
}

func (n *names) sessionID(s tla.Value) protocol.SessionID {
	t, ok := s.(tla.Tuple)
	if !ok || t[0] == tla.Int(0) {
		return 0
	}
	return protocol.MintSessionID(epochOf(t[0]), uint16(t[1].(tla.Int)), index(n.slots, t[2]))
}

// session returns NoSession for none.
func (n *names) session(id protocol.SessionID) tla.Value {
	if id == 0 {
		return tla.NewTuple(tla.Int(0), tla.Int(0), none)
	}
	return tla.NewTuple(tla.Int(id.Epoch()), tla.Int(id.Count()), n.slots[id.Slot()])
}

func epochOf(v tla.Value) protocol.Epoch { return protocol.Epoch(v.(tla.Int)) }

func versionOf(v tla.Value) protocol.Version {
	t := v.(tla.Tuple)
	return protocol.Version{Epoch: epochOf(t[0]), Seq: uint64(t[1].(tla.Int))}
}

func version(v protocol.Version) tla.Value { return tla.NewTuple(tla.Int(v.Epoch), tla.Int(v.Seq)) }

func payload(value tla.Value) (protocol.Op, []byte) {
	if value == absent {
		return protocol.OpDelete, nil
	}
	return protocol.OpPut, []byte(value.(tla.String))
}

func valueOf(op protocol.Op, value []byte) tla.Value {
	if op == protocol.OpPut {
		return tla.String(value)
	}
	return absent
}

// keyOf finds the key of a hash.
func (n *names) keyOf(hash uint64) tla.Value {
	for _, k := range n.keys {
		if protocol.KeyHash([]byte(k)) == hash {
			return tla.String(k)
		}
	}
	edges.Fail("no key has the hash %x", hash)
	return nil
}

// fields makes a record of names and values in turn.
func fields(all ...any) tla.Record {
	var r []tla.Field
	for i := 0; i < len(all); i += 2 {
		r = append(r, tla.Field{Name: all[i].(string), Value: all[i+1].(tla.Value)})
	}
	return tla.NewRecord(r...).(tla.Record)
}

// at returns f[key] of a variable of a state.
func at(rest tla.Record, variable string, key tla.Value) tla.Value {
	v := tla.Apply(rest.Get(variable), key)
	if v == nil {
		edges.Fail("%s has nothing at %v", variable, key)
	}
	return v
}

// put returns a state with f[key] of a variable changed.
func put(rest tla.Record, variable string, key, value tla.Value) tla.Record {
	return rest.With(variable, tla.Except(rest.Get(variable), key, value))
}
