// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"dalio/bpf"
	"dalio/traces"
)

// patience is for how long requests may go unanswered, and the shard be not whole, once
// all faults have ended.
const patience = 60 * time.Second

// world is a shard in which all that happens is scheduled.
type world struct {
	schedule
	seed     uint64
	plan     Plan
	chance   *rand.Rand
	net      *network
	store    *store
	clients  []*client
	machines []*machine
	hosts    []*host
	// current is the function that runs, if it is one that may wait.
	current *proc
	cover   *Coverage
	witness *witness
	// ends has what ends each fault that is not over, and armed those that wait for a
	// point to be passed.
	ends  map[int]func()
	armed map[int]*Fault

	history    []traces.Event
	operations int
	deliveries int
	// ending: all faults are over, and working clients finish.
	ending  bool
	working int
	log     []byte
	err     error
}

// line begins a line of the event log.
func (w *world) line() []byte {
	return append(strconv.AppendInt(w.log, int64(w.now), 10), ' ')
}

// say writes a line of the event log.
func (w *world) say(format string, args ...any) {
	w.log = append(fmt.Appendf(w.line(), format, args...), '\n')
}

// fail ends the run: this must not happen.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
		w.say("FAILED: %v", w.err)
	}
}

// record adds a line to the history.
func (w *world) record(e traces.Event) {
	e.Time, e.Line = int64(w.now), len(w.history)+1
	w.history = append(w.history, e)
	if e.Type == traces.Invoke {
		w.operations++
	}
	value := "-"
	if e.Value != nil {
		value = *e.Value
	}
	w.say("%d %s %s %s %s", e.Process, e.Type, e.F, e.Key, value)
}

func newWorld(seed uint64, p Plan, rigs []*bpf.Rig) *world {
	w := &world{seed: seed, plan: p, chance: stream(seed, controlStream), cover: newCoverage(), ends: map[int]func(){}, armed: map[int]*Fault{}}
	w.net, w.witness = newNetwork(w), newWitness(w)
	w.net.base = p.Quiet
	w.store = newStore(w)
	for i := range p.Replicas {
		m := newMachine(w, i)
		if p.Durable {
			m.disk = newDisk()
		}
		w.machines = append(w.machines, m)
		m.start()
	}
	for i, rig := range rigs {
		w.hosts = append(w.hosts, newHost(w, i, rig))
	}
	for _, h := range w.hosts {
		h.boot()
	}
	for i := range p.Clients {
		w.clients = append(w.clients, newClient(w, i))
	}
	return w
}

// run has the plan happen.
func (w *world) run() {
	for i := range w.plan.Faults {
		if f := &w.plan.Faults[i]; f.Kind != "" {
			w.at(f.At, func() { w.arm(i, f) })
		}
	}
	w.working = len(w.clients)
	for _, c := range w.clients {
		c.next()
	}
	// Faults end by themselves; what goes on for so long would go on for ever.
	for longest := w.plan.Length + patience; w.err == nil && !w.over() && w.next(); {
		if w.now > longest {
			w.fail("after %v there were %d operations, of %d, and %d deliveries, of %d", w.now, w.operations, w.plan.Operations, w.deliveries, w.plan.Deliveries)
		}
	}
	w.heal()
	deadline := w.now + patience
	for w.err == nil && (w.working > 0 || !w.whole()) && w.now < deadline && w.next() {
	}
	switch {
	case w.err != nil:
	case w.working > 0:
		w.fail("%d clients have had no answer %v after all faults were over", w.working, patience)
	case !w.whole():
		w.fail("not all replicas serve %v after all faults were over: %+v", patience, w.store.config.Members)
	}
}

// end frees what a run holds.
func (w *world) end() {
	for _, h := range w.hosts {
		h.kill()
	}
	for _, m := range w.machines {
		m.kill()
	}
}

// over says whether enough has happened.
func (w *world) over() bool {
	return w.now >= w.plan.Length && w.operations >= w.plan.Operations && w.deliveries >= w.plan.Deliveries
}

// whole says whether all replicas serve.
func (w *world) whole() bool {
	c := &w.store.config
	for _, h := range w.hosts {
		if h.control == nil || c.Coordinator != h.node.name {
			continue
		}
		k := h.control.driven.Kernel()
		serving := 0
		for i := range k.IDs {
			serving += int(k.Serving >> i & 1)
		}
		return k.Epoch == c.Epoch && serving == len(w.machines) && c.InSync() == len(w.machines)
	}
	return false
}

// heal ends all faults.
func (w *world) heal() {
	w.say("all faults are over")
	w.ending = true
	clear(w.armed)
	for i := range w.plan.Faults {
		if end := w.ends[i]; end != nil {
			delete(w.ends, i)
			end()
		}
	}
	w.net.base = weather{}
	for _, c := range w.clients {
		for k := range w.plan.Keys {
			c.last = append(c.last, fmt.Sprint("k", k))
		}
		for k := range w.plan.DeleteKeys {
			c.last = append(c.last, fmt.Sprint("d", k))
		}
	}
}
