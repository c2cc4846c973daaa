// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"net/netip"
	"testing"

	"dalio/protocol"
)

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func member(id protocol.ReplicaID, address string, inSync bool) Member {
	return Member{ID: id, Address: at(address), InSync: inSync}
}

// valid is a configuration that breaks no rule.
func valid() Config {
	return Config{Epoch: 3, Coordinator: "a", Generation: 2, MinMembers: 1, Sessions: 64,
		Members: []Member{member(16, "10.0.0.2:7411", true), member(33, "10.0.0.3:7411", false)}}
}

func TestMintedIDsAreNew(t *testing.T) {
	c := valid()
	next, id, ok := c.Mint(1 << 2)
	if !ok || id != 3*protocol.MaxMembers+3 || next.Generation != 3 {
		t.Errorf("minted %d of generation %d: want index 3, because members have 0 and 1 and 2 is taken", id, next.Generation)
	}
	if c.Generation != 2 {
		t.Error("minting changed the configuration it was asked of")
	}
	if _, _, ok := c.Mint(1<<16 - 1); ok {
		t.Error("minted an id though every index is taken")
	}
}

func TestChangesAreMadeToCopies(t *testing.T) {
	c := valid()
	c.Replicas = []Replica{{Address: at("10.0.0.2:7411")}, {Address: at("10.0.0.9:7411"), Replaces: at("10.0.0.2:7411")}}
	for what, next := range map[string]Config{
		"WithMember": c.WithMember(member(33, "10.0.0.3:7411", true)), "WithoutMember": c.WithoutMember(16),
		"WithReplica":    c.WithReplica(Replica{Address: at("10.0.0.2:7411"), Drained: true}),
		"WithoutReplica": c.WithoutReplica(at("10.0.0.2:7411")),
	} {
		if m, _ := c.Member(33); m.InSync || len(c.Members) != 2 || len(c.Replicas) != 2 || c.Replicas[0].Drained ||
			!c.Replicas[1].Replaces.IsValid() {
			t.Fatalf("%s changed the configuration that it was asked of", what)
		}
		if what == "WithoutReplica" && (len(next.Replicas) != 1 || next.Replicas[0].Replaces.IsValid()) {
			t.Errorf("%s left %+v", what, next.Replicas)
		}
	}
	for i := range 2 * historyKept {
		c = c.WithOpening(Opening{Epoch: protocol.Epoch(i)})
	}
	if len(c.History) != historyKept || c.History[historyKept-1].Epoch != 2*historyKept-1 {
		t.Errorf("the history has %d openings and ends with %+v", len(c.History), c.History[len(c.History)-1])
	}
}

func TestCheck(t *testing.T) {
	if err := valid().Check(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Config){
		"two members of an index":   func(c *Config) { c.Members[1].ID = 32 },
		"two members at an address": func(c *Config) { c.Members[1].Address = c.Members[0].Address },
		"a member never minted":     func(c *Config) { c.Generation = 1 },
		"an id of no generation":    func(c *Config) { c.Members[0].ID = 0 },
		"nobody in sync":            func(c *Config) { c.Members[0].InSync = false },
		"an odd session table":      func(c *Config) { c.Sessions = 63 },
		"no least number":           func(c *Config) { c.MinMembers = 0 },
		"too large a least number":  func(c *Config) { c.MinMembers = 17 },
	} {
		c := valid()
		change(&c)
		if err := c.Check(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
