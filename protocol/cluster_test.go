// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
)

const (
	clusterReplicas = 3
	clusterSessions = 2
	clusterKeys     = 2
	clusterLease    = 20
)

// cluster is a shard whose members and coordinator change while clients use it.
// Both coordinators stay alive: one that was replaced does not know it. The network
// loses, duplicates and reorders. All that happens is drawn from one seed.
type cluster struct {
	*rand.Rand
	// without names a rule that is left out.
	without string

	now          uint64
	coordinators [2]*Coordinator
	replicas     [clusterReplicas]*Replica
	tables       [clusterReplicas]SessionTable
	config       configuration
	// steps is what the control plane still has to do of a change, one at a time,
	// and late what one still means to do that has been replaced meanwhile.
	steps, late []func() bool
	over        *takeover

	network []packet
	clients [clusterSessions]clusterClient
	floor   map[string]Version
	// placed has the version that each value was seen or answered with.
	placed  map[string]Version
	reads   int
	seen    map[string]int
	trouble string
}

// configuration is what both control planes read and change by compare-and-swap.
type configuration struct {
	epoch      Epoch
	active     int
	generation int
	ids        [clusterReplicas]ReplicaID
	members    uint16
	inSync     uint16
}

// packet goes between a coordinator and a client or replica.
type packet struct {
	coordinator int
	toReplica   bool
	m           Message
	from        Address
}

// clusterClient writes one value after another, and reads meanwhile.
type clusterClient struct {
	session SessionID
	write   *Message
	last    uint64
	read    *Message
	floor   Version
}

func newCluster(seed uint64, without string) *cluster {
	c := &cluster{Rand: rand.New(rand.NewPCG(seed, 1)), without: without, now: 1000,
		floor: map[string]Version{}, placed: map[string]Version{}, seen: map[string]int{}}
	c.config = configuration{epoch: 1, generation: 1, members: 1<<clusterReplicas - 1, inSync: 1<<clusterReplicas - 1}
	for i := range c.replicas {
		c.config.ids[i] = ReplicaID(1<<4 | i)
		c.restart(i)
		c.replicas[i].Assign(c.config.ids[i], 1, Version{})
	}
	c.coordinators[0] = c.coordinator(c.config.members, nil)
	c.coordinators[1] = &Coordinator{}
	for i := range c.clients {
		c.clients[i].session = MintSessionID(0, 1, i)
	}
	return c
}

func replicaAddress(i int) Address { return Address{[4]byte{10, 0, 0, byte(10 + i)}, Port, [6]byte{2}} }

// restart has a replica lose all it has.
func (c *cluster) restart(i int) {
	c.tables[i] = SessionTable{}
	c.replicas[i] = &Replica{Store: MemoryStore{}, Sessions: c.tables[i]}
}

// coordinator opens the epoch of the configuration.
func (c *cluster) coordinator(members uint16, recovered SessionTable) *Coordinator {
	n := &Coordinator{Self: Address{[4]byte{10, 0, 0, 1}, Port, [6]byte{2}}, Epoch: c.config.epoch, SessionTTL: 1 << 30,
		Lease: clusterLease, Members: members, Serving: members, Sessions: make([]SessionEntry, 4)}
	for i := range c.replicas {
		n.Answered[i] = c.now
		if members>>i&1 != 0 {
			n.Known[i] = Member{c.config.ids[i], replicaAddress(i)}
		}
	}
	for slot, r := range recovered {
		n.Sessions[slot] = SessionEntry{Owner: r.Session, Request: r.Request, Op: r.Op, KeyHash: r.KeyHash, Digest: r.Digest, Settled: r.Version}
	}
	return n
}

func (c *cluster) complain(format string, arguments ...any) {
	if c.trouble == "" {
		c.trouble = fmt.Sprintf(format, arguments...)
	}
}

func (c *cluster) did(what string) { c.seen[what]++ }

// walk takes steps and returns the first complaint.
func (c *cluster) walk(steps int) string {
	for range steps {
		switch n := c.IntN(100); {
		case n < 12:
			c.client()
		case n < 72:
			c.deliver()
		case n < 78:
			c.now += 1 + c.Uint64N(clusterLease/2)
		case n < 90:
			c.control()
		case n < 91:
			c.crash()
		default:
			c.change()
		}
		if c.trouble != "" {
			break
		}
	}
	return c.trouble
}

// client has one client invoke something or send it again, to either coordinator.
func (c *cluster) client() {
	i := c.IntN(len(c.clients))
	cl := &c.clients[i]
	key := string(rune('a' + c.IntN(clusterKeys)))
	var m *Message
	if c.IntN(2) == 0 {
		if cl.write == nil {
			cl.last++
			w := put(cl.session, cl.last, key, fmt.Sprintf("%d of session %d", cl.last, i))
			cl.write = &w
		}
		m = cl.write
	} else {
		if cl.read == nil {
			c.reads++
			r := get(0, uint64(c.reads), key)
			cl.read, cl.floor = &r, c.floor[key]
		}
		cl.read.Attempt++
		m = cl.read
	}
	from := Address{[4]byte{10, 0, 0, byte(100 + i)}, 5000, [6]byte{2}}
	c.network = append(c.network, packet{coordinator: c.IntN(2), m: *m, from: from})
}

// deliver hands over one packet. It may come again, and others may never come.
func (c *cluster) deliver() {
	if len(c.network) == 0 {
		return
	}
	at := len(c.network) - 1 - min(c.IntN(len(c.network)), c.IntN(len(c.network)))
	p := c.network[at]
	if c.IntN(4) != 0 {
		c.network = append(c.network[:at], c.network[at+1:]...)
	}
	if len(c.network) > 60 {
		c.network = c.network[20:]
	}
	if p.toReplica {
		c.toReplica(p)
		return
	}
	n := c.coordinators[p.coordinator]
	n.Now = c.now
	if c.without == "when a read was sent" && p.m.Type == ReadReply {
		p.m.Sent = 0
	}
	if n.Epoch == 0 {
		return
	}
	_, handle := n.route(p.m.Type)
	out := handle(p.m, p.from)
	switch m := out.Message; {
	case m == nil:
	case out.Targets != 0:
		for set := out.Targets; set != 0; set &= set - 1 {
			m.Replica = n.Known[bits.TrailingZeros16(set)].ID
			c.network = append(c.network, packet{coordinator: p.coordinator, toReplica: true, m: *m})
		}
	case m.Type == Read:
		c.network = append(c.network, packet{coordinator: p.coordinator, toReplica: true, m: *m})
	default:
		c.answered(*m, int(out.To.IP[3])-100)
	}
}

func (c *cluster) toReplica(p packet) {
	i := p.m.Replica.Index()
	r, before := c.replicas[i], SessionTable{}
	stale := p.m.Type == Write && !r.Store.Get(p.m.Key).Version.Less(p.m.Version)
	if c.without == "records of stale writes" && stale {
		r.Sessions = before
	}
	answer, refused := r.Handle(p.m)
	r.Sessions = c.tables[i]
	if refused == NotRefused {
		c.network = append(c.network, packet{coordinator: p.coordinator, m: answer, from: replicaAddress(i)})
	}
}

// answered judges what a client is told: a value has one version for ever, and a
// read's is no older than any that was known before the read began.
func (c *cluster) answered(m Message, i int) {
	if m.Status != StatusOK || i < 0 || i >= len(c.clients) {
		return
	}
	cl := &c.clients[i]
	switch {
	case m.Type == WriteResponse && cl.write != nil && m.Request == cl.write.Request:
		c.place(string(cl.write.Value), m.Version)
		c.raise(string(cl.write.Key), m.Version)
		cl.write = nil
		c.did("write answered")
	case m.Type == ReadResponse && cl.read != nil && m.Request == cl.read.Request:
		if m.Version.Less(cl.floor) {
			c.complain("%q was read as %q, version %v, though version %v was known before", m.Key, m.Value, m.Version, cl.floor)
		}
		if m.Op != OpNone {
			c.place(string(m.Value), m.Version)
			c.did("value read")
		}
		c.raise(string(m.Key), m.Version)
		cl.read = nil
	}
}

func (c *cluster) place(value string, v Version) {
	if other, known := c.placed[value]; known && other != v {
		c.complain("%q has the versions %v and %v", value, other, v)
	}
	c.placed[value] = v
}

func (c *cluster) raise(key string, v Version) {
	if c.floor[key].Less(v) {
		c.floor[key] = v
	}
}
