// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"dalio/bpf"
	"dalio/checker/linear"
	"dalio/protocol"
	"dalio/traces"
)

// patience is for how long requests may go unanswered once all faults have ended.
const patience = 30 * time.Second

// world is a shard in which all that happens is scheduled.
type world struct {
	schedule
	seed     uint64
	plan     Plan
	net      *network
	clients  []*client
	machines []*machine
	hosts    []*host
	cover    *Coverage
	// ends has what ends each fault that is not over.
	ends map[int]func()

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

func newWorld(seed uint64, p Plan, rigs []*bpf.Rig) (*world, error) {
	w := &world{seed: seed, plan: p, cover: newCoverage(), ends: map[int]func(){}}
	w.net = newNetwork(w)
	w.net.base = p.Quiet
	for i, rig := range rigs {
		if err := rig.Reset(); err != nil {
			return nil, err
		}
		h := &host{w: w, rig: rig}
		h.node = w.net.add(fmt.Sprint("x", i), 0, byte(i+1), protocol.Port)
		h.node.receive = h.receive
		w.hosts = append(w.hosts, h)
	}
	for i := range p.Replicas {
		w.machines = append(w.machines, newMachine(w, i))
	}
	for i := range p.Clients {
		w.clients = append(w.clients, newClient(w, i))
	}
	return w, nil
}

// run has the plan happen.
func (w *world) run() {
	if err := w.open(); err != nil {
		w.fail("open the shard: %v", err)
	}
	for i := range w.plan.Faults {
		f := &w.plan.Faults[i]
		if f.Kind != "" {
			w.at(f.At, func() { w.breaks(i, f) })
		}
	}
	w.working = len(w.clients)
	for _, c := range w.clients {
		c.next()
	}
	for w.err == nil && !w.over() && w.next() {
	}
	w.heal()
	deadline := w.now + patience
	for w.err == nil && w.working > 0 && w.now < deadline && w.next() {
	}
	if w.err == nil && w.working > 0 {
		w.fail("%d clients have had no answer %v after all faults were over", w.working, patience)
	}
}

// over says whether enough has happened.
func (w *world) over() bool {
	return w.now >= w.plan.Length && w.operations >= w.plan.Operations && w.deliveries >= w.plan.Deliveries
}

// breaks has a fault happen.
func (w *world) breaks(i int, f *Fault) {
	if w.ending {
		return
	}
	w.say("fault %d: %v", i, f)
	w.cover.fault(f.Kind)
	end := w.begin(f)
	w.ends[i] = end
	w.after(f.For, func() {
		if w.ends[i] != nil {
			w.say("fault %d is over", i)
			delete(w.ends, i)
			end()
		}
	})
}

// heal ends all faults.
func (w *world) heal() {
	w.say("all faults are over")
	w.ending = true
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

// audit judges what the clients saw.
func (w *world) audit() {
	report, err := linear.Check(context.Background(), &historySource{events: w.history}, linear.Options{Workers: 1, Timeout: time.Minute})
	if err != nil {
		w.fail("the history can't be audited: %v", err)
		return
	}
	if report.Verdict == linear.Linearizable {
		return
	}
	for _, k := range report.Keys {
		if k.Verdict != linear.Linearizable {
			w.fail("key %s is %s: %s", k.Key, k.Verdict, k.Why)
		}
	}
}

// history is a history in memory, read as strictly as a file.
type historySource struct {
	events []traces.Event
}

func (s *historySource) Next() (traces.Event, error) {
	if len(s.events) == 0 {
		return traces.Event{}, io.EOF
	}
	e := s.events[0]
	s.events = s.events[1:]
	return e, nil
}

// open opens the shard for the first time.
func (w *world) open() error {
	h := w.hosts[0]
	var members []protocol.Member
	for i, m := range w.machines {
		id := protocol.ReplicaID(protocol.MaxMembers + i)
		members = append(members, protocol.Member{ID: id, Address: m.node.address})
		if err := m.start(id); err != nil {
			return err
		}
	}
	w.tick(h, members)
	return errors.Join(h.rig.SetClock(h.clock()), h.rig.Open(bpf.Epoch{Number: 1, Members: members, MinMembers: 1, Answered: h.clock()}))
}

// tick probes the members again and again.
func (w *world) tick(h *host, members []protocol.Member) {
	for _, m := range members {
		h.probe(m.Address, m.ID, 1)
	}
	if (w.now/probeInterval)%(tickInterval/probeInterval) == 0 {
		if err := h.rig.Tick(); err != nil {
			w.fail("%v", err)
		}
	}
	w.after(probeInterval, func() { w.tick(h, members) })
}

// Result is what came of a run.
type Result struct {
	Seed                   uint64
	Plan                   Plan
	Operations, Deliveries int
	// Lasted is the simulated time.
	Lasted   time.Duration
	Coverage *Coverage
	// Digest is that of the event log, Log and History what happened.
	Digest  [sha256.Size]byte
	Log     []byte
	History []traces.Event
	// Err is what must not have happened, nil if nothing did.
	Err error
}

// Run runs a plan, and audits it. The rigs are those of the coordinators, by
// RigOptions; they are as good as new afterwards.
func Run(seed uint64, p Plan, rigs []*bpf.Rig) (*Result, error) {
	w, err := newWorld(seed, p, rigs)
	if err != nil {
		return nil, err
	}
	w.run()
	if w.err == nil {
		w.audit()
	}
	return &Result{Seed: seed, Plan: p, Operations: w.operations, Deliveries: w.deliveries, Lasted: w.now, Coverage: w.cover,
		Digest: sha256.Sum256(w.log), Log: w.log, History: slices.Clip(w.history), Err: w.err}, nil
}
