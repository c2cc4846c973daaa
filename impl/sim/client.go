// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"dalio/impl/internal/coordinators"
	"dalio/protocol"
	"dalio/traces"
)

const (
	// firstRetry and lastRetry bound how long a client waits for an answer before it
	// sends again, as package client has it.
	firstRetry = 5 * time.Millisecond
	lastRetry  = 100 * time.Millisecond
)

// client is a client with one lane: one request at a time, after an unknown outcome
// by another process of the history.
type client struct {
	w      *world
	node   *node
	random *rand.Rand
	// process is its number in the history.
	process int
	session protocol.Session
	request uint64
	written int
	// op counts the operations, so that a timer knows whether it is of this one.
	op      int
	f, key  string
	waiting bool
	tries   int
	// coordinators tells whom it asks.
	coordinators *coordinators.Set
	// nonces are those of the operation.
	nonces []uint64
	// last: it reads every key once more, and is done then.
	last []string
}

func newClient(w *world, index int) *client {
	c := &client{w: w, random: stream(w.seed, clientStream+uint64(index+1)<<8), process: index}
	c.node = w.net.add(fmt.Sprint("c", index), 2, byte(index+1), 40000)
	c.node.receive = c.receive
	var all []netip.AddrPort
	for _, h := range w.hosts {
		all = append(all, addrPort(h.node.address))
	}
	c.coordinators = coordinators.New(all)
	c.request = c.random.Uint64() >> 20
	return c
}

// next starts an operation after a pause.
func (c *client) next() {
	pause := between(c.random, 0, 2*time.Millisecond)
	switch {
	case c.w.ending:
	case c.random.Float64() < c.w.plan.Idle:
		pause = between(c.random, 0, 120*time.Millisecond)
	}
	c.w.after(pause, func() { c.start() })
}

// start invokes the next operation.
func (c *client) start() {
	op, value := c.choose()
	if op == nil {
		c.w.working--
		return
	}
	c.op++
	c.request++
	c.nonces = nil
	c.waiting, c.tries = true, 0
	var m protocol.Message
	if *op == protocol.OpNone {
		m = c.session.InvokeRead(c.request, []byte(c.key))
		c.w.cover.action("InvokeRead")
	} else {
		m = c.session.InvokeWrite(c.request, c.nonce(), *op, []byte(c.key), []byte(value))
		c.w.cover.action("InvokeWrite")
	}
	var written *string
	if c.f == traces.Write {
		written = &value
	}
	c.w.record(traces.Event{Process: c.process, Type: traces.Invoke, F: c.f, Key: c.key, Value: written})
	c.send(&m)
	c.watch(c.op)
	c.impatience(c.op)
}

// choose returns the next operation, or nil if there is none.
func (c *client) choose() (op *protocol.Op, value string) {
	none, put, remove := protocol.OpNone, protocol.OpPut, protocol.OpDelete
	p := &c.w.plan
	if c.w.ending {
		if len(c.last) == 0 {
			return nil, ""
		}
		c.f, c.key, c.last = traces.Read, c.last[0], c.last[1:]
		return &none, ""
	}
	if c.random.Float64() < p.Deleted {
		c.key = fmt.Sprint("d", c.random.IntN(p.DeleteKeys))
		if c.random.IntN(3) == 0 {
			c.f = traces.Delete
			return &remove, ""
		}
	} else {
		c.key = fmt.Sprint("k", c.random.IntN(p.Keys))
	}
	if c.random.Float64() < p.Writes {
		c.written++
		c.f = traces.Write
		return &put, fmt.Sprint(c.process, "-", c.written)
	}
	c.f = traces.Read
	return &none, ""
}

// nonce returns one that no session had.
func (c *client) nonce() uint64 {
	nonce := c.random.Uint64()>>1 | 1
	c.nonces = append(c.nonces, nonce)
	return nonce
}

// send sends to the coordinator that is taken for the active one, or to all.
func (c *client) send(m *protocol.Message) {
	for _, to := range c.coordinators.Targets(c.tries) {
		at := c.w.net.nodes[to.Addr().As4()].address
		c.w.net.send(c.node, protocol.NewFrame(m, c.node.address, at))
	}
}

// watch sends again when an answer is overdue.
func (c *client) watch(op int) {
	wait := min(firstRetry<<min(c.tries, 8), lastRetry)
	c.w.after(wait+between(c.random, 0, wait/2), func() {
		if !c.waiting || c.op != op {
			return
		}
		if !c.node.paused {
			c.tries++
			m := c.session.Retry(c.nonce())
			c.w.cover.action("Retry")
			c.send(&m)
		}
		c.watch(op)
	})
}

// impatience has the client give some operations up, and die over others.
func (c *client) impatience(op int) {
	if c.w.ending || c.random.Float64() >= c.w.plan.Impatience {
		return
	}
	c.w.after(between(c.random, time.Millisecond, 60*time.Millisecond), func() {
		if c.waiting && c.op == op {
			c.w.cover.action("Abandon")
			c.end(c.session.Abandon(), nil, protocol.Version{})
		}
	})
}

// crash has the client forget everything, and a new one begin at its address.
func (c *client) crash() {
	c.request = c.random.Uint64() >> 20
	switch {
	case c.waiting:
		r := c.session.Abandon()
		c.session = protocol.Session{Closed: true}
		c.end(r, nil, protocol.Version{})
	default:
		c.session = protocol.Session{}
	}
}

func (c *client) receive(frame []byte) {
	m, err := decode(frame)
	if err != nil {
		c.w.fail("%s: %v", c.node.name, err)
		return
	}
	if !c.heard(frame, &m) || !c.waiting {
		return
	}
	switch m.Type {
	case protocol.OpenResponse:
		c.w.cover.action("HandleOpenResponse")
		if next, send := c.session.HandleOpenResponse(m); send {
			c.send(&next)
		}
	case protocol.WriteResponse:
		c.w.cover.action("HandleWriteResponse")
		if r := c.session.HandleWriteResponse(m); r != protocol.Waiting {
			c.end(r, nil, m.Version)
		}
	case protocol.ReadResponse:
		c.w.cover.action("HandleReadResponse")
		if c.session.HandleReadResponse(m) {
			var value *string
			if m.Op == protocol.OpPut {
				v := string(m.Value)
				value = &v
			}
			c.end(protocol.Done, value, m.Version)
		}
	}
}

// heard says whether to look at an answer.
func (c *client) heard(frame []byte, m *protocol.Message) bool {
	if m.Epoch < c.coordinators.Epoch() {
		c.w.cover.met(staleAnswer)
	}
	from := c.coordinators.Find(addrPort(sender(frame)))
	return from >= 0 && c.coordinators.Answered(from, m.Epoch, m.Status == protocol.StatusOK)
}

// end completes the operation, and begins the next.
func (c *client) end(r protocol.Result, value *string, version protocol.Version) {
	c.waiting = false
	e := traces.Event{Process: c.process, Type: traces.OK, F: c.f, Key: c.key}
	switch r {
	case protocol.Done:
		e.Value, e.Version = value, &traces.Version{Epoch: uint64(version.Epoch), Seq: version.Seq}
	case protocol.DidNotHappen:
		e.Type = traces.Fail
	default:
		e.Type = traces.Info
		c.process += len(c.w.clients)
	}
	c.w.record(e)
	if c.session.Closed {
		c.session = protocol.Session{}
	}
	c.next()
}
