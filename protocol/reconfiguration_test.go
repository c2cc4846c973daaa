// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"math/bits"
	"testing"
)

// takeover is a change of coordinator under way: replicas are fenced, and perhaps
// the old coordinator's lease is waited for.
type takeover struct {
	epoch   Epoch
	active  int
	fenced  uint16
	expires uint64
}

// control does the next step of a change.
func (c *cluster) control() {
	switch {
	case c.IntN(4) == 0:
		c.step(&c.late)
	case c.over != nil:
		c.finish()
	default:
		c.step(&c.steps)
	}
}

// step does the first of the steps. One that can't be done ends the change.
func (c *cluster) step(steps *[]func() bool) {
	if len(*steps) == 0 {
		return
	}
	first := (*steps)[0]
	*steps = (*steps)[1:]
	if !first() {
		*steps = nil
	}
}

// change begins a change, if none is under way; a takeover needs not wait for that.
func (c *cluster) change() {
	if c.over != nil {
		return
	}
	i := c.IntN(clusterReplicas)
	switch bit := uint16(1) << i; {
	case c.IntN(4) == 0:
		c.begin()
	case len(c.steps) != 0:
	case c.config.members&bit == 0:
		c.join(i)
	case c.config.inSync != bit:
		c.remove(i)
	}
}

// crash has a replica restart empty, unless nobody else has what is committed.
func (c *cluster) crash() {
	i := c.IntN(clusterReplicas)
	for j := range c.replicas {
		if j != i && c.config.inSync>>j&1 != 0 && c.replicas[j].ID == c.config.ids[j] {
			c.restart(i)
			c.did("crash")
			return
		}
	}
}

// remove takes a member out: of the serving ones, of the configuration, and of
// those that must acknowledge, in this order.
func (c *cluster) remove(i int) {
	bit, n := uint16(1)<<i, c.coordinators[c.config.active]
	e := n.Epoch
	serving := func() bool { n.Serving &^= bit; return true }
	swap := func() bool {
		if c.config.epoch != e || c.config.inSync == bit {
			return false
		}
		c.config.members &^= bit
		c.config.inSync &^= bit
		return true
	}
	mask := func() bool {
		n.Members &^= bit
		n.Known[i] = Member{}
		c.did("removed")
		return true
	}
	c.steps = []func() bool{serving, swap, mask}
	if c.without == "the configuration before the mask" {
		c.steps = []func() bool{serving, mask, swap}
	}
}

// join makes a replica a member under a new id.
func (c *cluster) join(i int) {
	bit, n := uint16(1)<<i, c.coordinators[c.config.active]
	e := n.Epoch
	c.config.generation++
	id := ReplicaID(c.config.generation<<4 | i)
	assign := func() bool {
		epoch := c.replicas[i].Epoch
		if epoch > e || c.config.epoch != e {
			return false
		}
		c.restart(i)
		c.replicas[i].Epoch = epoch
		return c.replicas[i].Assign(id, e, Version{})
	}
	mask := func() bool {
		for _, s := range n.Sessions {
			if n.Known[i].ID != 0 || s.Pending() && s.Acks&bit != 0 && c.without != "waiting for an index" {
				return false
			}
		}
		n.Members |= bit
		n.Known[i], n.Answered[i] = Member{id, replicaAddress(i)}, c.now
		return true
	}
	swap := func(set *uint16) func() bool {
		return func() bool {
			if c.config.epoch != e {
				return false
			}
			*set |= bit
			c.config.ids[i] = id
			return true
		}
	}
	serving := func() bool { n.Serving |= bit; c.did("joined"); return true }
	copyAll := func() bool { return c.replicas[i].ID == id && c.catchUp(i) }
	c.steps = []func() bool{assign, mask, swap(&c.config.members), copyAll, swap(&c.config.inSync), serving}
	if c.without == "catching up before serving" {
		c.steps = []func() bool{assign, mask, swap(&c.config.members), serving, copyAll, swap(&c.config.inSync)}
	}
}

// catchUp copies all that an in-sync member has.
func (c *cluster) catchUp(i int) bool {
	for j := range c.replicas {
		if j == i || c.config.inSync>>j&1 == 0 || c.replicas[j].ID != c.config.ids[j] || c.replicas[j].Fenced {
			continue
		}
		to := c.replicas[i].Store.(MemoryStore)
		for key, r := range c.replicas[j].Store.(MemoryStore) {
			to[key] = Merge(to[key], true, r)
		}
		for _, r := range c.tables[j] {
			c.tables[i].Record(r)
		}
		return true
	}
	return false
}

// begin has the other control plane, or the same one, take over: by a new epoch,
// and by fencing those members that it reaches.
func (c *cluster) begin() {
	c.config.epoch++
	if len(c.steps) != 0 {
		c.late, c.steps = c.steps, nil
		c.did("replaced in a change")
	}
	t := &takeover{epoch: c.config.epoch, active: c.IntN(2), expires: c.now + clusterLease + 1}
	for i, r := range c.replicas {
		if c.config.members>>i&1 == 0 || c.IntN(3) == 0 || !r.Fence(t.epoch) {
			continue
		}
		if r.ID == c.config.ids[i] || c.without == "ids" {
			t.fenced |= 1 << i
		}
	}
	if c.without != "recovery from in-sync members alone" {
		t.fenced &= c.config.inSync
	}
	if t.fenced == 0 {
		// It tries again: nothing was opened, and no version of the epoch given out.
		return
	}
	c.over = t
}

// finish recovers and opens, when no earlier coordinator can release reads.
func (c *cluster) finish() {
	t := c.over
	if c.config.inSync&^t.fenced != 0 && c.now < t.expires && c.without != "the lease" {
		return
	}
	c.over = nil
	for set := t.fenced; set != 0; set &= set - 1 {
		// One that has restarted meanwhile can't be opened.
		if i := bits.TrailingZeros16(set); c.replicas[i].Epoch != t.epoch || c.replicas[i].ID != c.config.ids[i] && c.without != "ids" {
			return
		}
	}
	records, sessions := MemoryStore{}, SessionTable{}
	for set := t.fenced; set != 0; set &= set - 1 {
		i := bits.TrailingZeros16(set)
		for key, r := range c.replicas[i].Store.(MemoryStore) {
			if records[key].Version.Less(r.Version) {
				records[key] = r
			}
		}
		for _, r := range c.tables[i] {
			sessions.Record(r)
		}
	}
	for set := t.fenced; set != 0; set &= set - 1 {
		i := bits.TrailingZeros16(set)
		for key, r := range records {
			c.replicas[i].Store.Put([]byte(key), r)
		}
		for _, r := range sessions {
			c.tables[i].Record(r)
		}
		c.replicas[i].Open(t.epoch)
		if c.without == "ids" {
			c.replicas[i].ID = c.config.ids[i]
		}
	}
	if c.without == "recovered sessions" {
		sessions = nil
	}
	c.config.active, c.config.members, c.config.inSync = t.active, t.fenced, t.fenced
	c.coordinators[t.active] = c.coordinator(t.fenced, sessions)
	c.did("taken over")
}

// TestReconfiguration changes members and coordinators under load: no value that a
// client has seen or been promised is lost, and none appears twice (hazards 16 to
// 22, 25, 29 to 33, 36).
func TestReconfiguration(t *testing.T) {
	total := map[string]int{}
	for seed := range uint64(40_000) {
		c := newCluster(seed, "")
		if trouble := c.walk(400); trouble != "" {
			t.Fatalf("seed %d: %s", seed, trouble)
		}
		for what, n := range c.seen {
			total[what] += n
		}
	}
	for _, what := range []string{"write answered", "value read", "removed", "joined", "taken over", "crash", "replaced in a change"} {
		if total[what] == 0 {
			t.Errorf("in no walk: %s", what)
		}
	}
	t.Log(total)
}

// TestReconfigurationWithout leaves out one rule at a time, and expects that
// clients notice.
func TestReconfigurationWithout(t *testing.T) {
	for rule, hazard := range map[string]string{
		"when a read was sent":                "18",
		"waiting for an index":                "21",
		"catching up before serving":          "22",
		"ids":                                 "25",
		"the lease":                           "29",
		"the configuration before the mask":   "30",
		"records of stale writes":             "32",
		"recovered sessions":                  "33",
		"recovery from in-sync members alone": "36",
	} {
		t.Run(hazard+": without "+rule, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(400_000) {
				if trouble := newCluster(seed, rule).walk(400); trouble != "" {
					t.Logf("seed %d: %s", seed, trouble)
					return
				}
			}
			t.Error("nobody noticed")
		})
	}
}
