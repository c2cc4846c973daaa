// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"syscall"
	"time"

	"dalio/impl/config"
	"dalio/impl/coordinator"
)

// arm has a fault begin now, or when its point is passed.
func (w *world) arm(i int, f *Fault) {
	switch {
	case w.ending:
	case f.After == "":
		w.breaks(i, f)
	default:
		w.armed[i] = f
	}
}

// point is passed: the faults that wait for it begin at the next moment.
func (w *world) point(name string) {
	for i := range w.plan.Faults {
		if f := w.armed[i]; f != nil && f.After == name {
			delete(w.armed, i)
			w.after(0, func() { w.breaks(i, f) })
		}
	}
}

// breaks has a fault happen.
func (w *world) breaks(i int, f *Fault) {
	if w.ending {
		return
	}
	end := w.begin(f)
	if end == nil {
		return // It would be more than the shard must survive.
	}
	w.say("fault %d: %v", i, f)
	w.cover.fault(f.Kind)
	w.ends[i] = end
	w.after(f.For, func() {
		if w.ends[i] != nil {
			w.say("fault %d is over", i)
			delete(w.ends, i)
			end()
		}
	})
}

// begin has a fault begin, and returns what ends it, or nil if it must not be.
func (w *world) begin(f *Fault) (end func()) {
	m, h, c := w.machines[f.Who%len(w.machines)], w.hosts[f.Whom%len(w.hosts)], w.clients[f.Who%len(w.clients)]
	if f.Who%4 != 0 {
		h = w.active(h) // The one that serves is the one that matters.
	}
	nothing := func() {}
	if w.exposed() && !w.bearable(f, m) {
		return nil
	}
	switch f.Kind {
	case "storm":
		b := &burst{weather: f.weather}
		if f.Who%2 == 0 {
			b.at = w.anybody(f.Whom)
		}
		w.net.bursts = append(w.net.bursts, b)
		return func() { w.net.bursts = except(w.net.bursts, b) }
	case "cut":
		return w.cuts(f, h)
	case "old-frames":
		for range 1 + f.Who%32 {
			w.net.repeat()
		}
		return nothing
	case "pause-replica":
		return w.pause(m.node, m.life)
	case "pause-client":
		return w.pause(c.node, nil)
	case "kill-client":
		c.crash()
		return nothing
	case "pause-control":
		if h.control == nil || h.control.life.paused {
			return nothing
		}
		l := h.control.life
		l.pause()
		return l.goOn
	case "pause-host":
		var l *life
		if h.control != nil {
			l = h.control.life
		}
		return w.pause(h.node, l)
	case "clock-jump":
		h.ahead += time.Duration(f.Whom) * 50 * time.Millisecond
		return nothing
	case "etcd-stops":
		w.store.node.off = true
		return func() { w.store.node.off = false }
	case "failover":
		if other := w.hosts[(h.index+1)%len(w.hosts)]; other.control != nil {
			_ = other.control.driven.FailOver() // It may be the active one.
		}
		return nothing
	case "drain":
		return w.drains(h, m)
	case "kill-control":
		h.down++
		h.kill()
		return func() { h.down--; h.start() }
	case "lose-host":
		h.gone++
		h.lose()
		return func() {
			if h.gone--; h.gone == 0 {
				h.boot()
			}
		}
	}
	return w.beginAt(f, m)
}

// beginAt is begin for what happens to a replica.
func (w *world) beginAt(f *Fault, m *machine) (end func()) {
	nothing := func() {}
	stopped := func(all []*machine, stop func(*machine)) func() {
		for _, m := range all {
			m.down++
			stop(m)
		}
		return func() {
			for _, m := range all {
				m.down--
				m.start()
			}
		}
	}
	if m.disk == nil && !w.mayLose(m) {
		return nil
	}
	switch f.Kind {
	case "kill-replica":
		return stopped([]*machine{m}, (*machine).kill)
	case "power-replica":
		return stopped([]*machine{m}, (*machine).lose)
	case "power-all":
		return stopped(w.machines, (*machine).lose)
	case "power-in-sync":
		m.disk.losesPower(1+f.Whom%3, f.Whom%2 == 0)
		return func() { m.disk.losesPower(0, false) }
	case "disk-full", "disk-fails":
		m.disk.fails(map[string]error{"disk-full": syscall.ENOSPC, "disk-fails": syscall.EIO}[f.Kind])
		return func() { m.disk.fails(nil); m.start() }
	case "disk-lost":
		if !w.mayLose(m) {
			return nil
		}
		return stopped([]*machine{m}, func(m *machine) {
			m.lose()
			m.disk = newDisk()
			m.empty()
		})
	}
	return nothing
}

// exposed says whether a member in sync has lost what it held, and the configuration does
// not know yet. If the others were expelled before that one, nobody would be left.
func (w *world) exposed() bool {
	return slices.ContainsFunc(w.store.config.Members, func(member config.Member) bool {
		return member.InSync && member.ID <= w.machineAt(member.Address).emptied
	})
}

// bearable says whether a fault may begin while the shard is exposed.
func (w *world) bearable(f *Fault, m *machine) bool {
	switch f.Kind {
	case "storm", "cut", "power-all":
		return false
	case "old-frames", "pause-client", "kill-client", "pause-control", "pause-host", "clock-jump", "etcd-stops", "failover", "kill-control", "lose-host":
		return true
	}
	return w.mayLose(m)
}

// mayLose says whether what a replica holds may be lost: somebody else in sync has it, and
// no reason to be expelled or drained, whatever becomes of the decisions that have been taken already.
func (w *world) mayLose(m *machine) bool {
	if w.store.config.Epoch == 0 {
		return true
	}
	sets := [][]config.Member{w.store.config.Members}
	for _, h := range w.hosts {
		if h.control != nil {
			if recovered := h.control.driven.Recovered(); recovered != nil {
				sets = append(sets, recovered)
			}
		}
	}
	for c, base := range w.store.asked {
		if base == w.store.revision {
			sets = append(sets, c.Members)
		}
	}
	for _, set := range sets {
		if !slices.ContainsFunc(set, func(member config.Member) bool {
			other := w.machineAt(member.Address)
			return member.InSync && other != m && other.life != nil && other.holds(member.ID) &&
				other.drained+other.asked == 0 && !w.unwell(other) && (m.returned() || !other.returned())
		}) {
			return false
		}
	}
	return true
}

// unwell says whether coordinators may come to take a replica for dead.
func (w *world) unwell(m *machine) bool {
	// Of a burst that loses less, a coordinator sees one answer in time.
	const heavy = 0.1
	for link, cuts := range w.net.cut {
		if cuts > 0 && (link[0] == m.node || link[1] == m.node) {
			return true
		}
	}
	return m.node.paused || m.disk != nil && m.disk.ailing() || slices.ContainsFunc(w.net.bursts, func(b *burst) bool {
		return (b.at == nil || b.at == m.node) && b.Loss >= heavy
	})
}

// active returns the host of the coordinator that owns the epoch, or else another.
func (w *world) active(other *host) *host {
	for _, h := range w.hosts {
		if h.node.name == w.store.config.Coordinator {
			return h
		}
	}
	return other
}

// cuts cuts links, one way or both.
func (w *world) cuts(f *Fault, h *host) (end func()) {
	var a, b *node
	switch other := w.hosts[(h.index+1)%len(w.hosts)]; f.Who % 8 {
	case 0:
		a, b = w.clients[f.Whom%len(w.clients)].node, h.node
	case 1:
		a, b = other.node, h.node
	case 2:
		a, b = w.store.node, h.node
	case 3:
		a, b = w.machines[f.Whom%len(w.machines)].node, w.machines[(f.Whom+1)%len(w.machines)].node
	default:
		a, b = w.machines[f.Whom%len(w.machines)].node, h.node
	}
	links := [][2]*node{{a, b}, {b, a}}
	if f.Whom%3 != 0 {
		links = links[f.Whom%3-1 : f.Whom%3]
	}
	for _, l := range links {
		w.net.cut[l]++
	}
	return func() {
		for _, l := range links {
			w.net.cut[l]--
		}
	}
}

// drains has an operator take a replica out, and add it again.
func (w *world) drains(h *host, m *machine) (end func()) {
	m.drained++
	w.operate(h, m, "drain")
	return func() {
		m.drained--
		w.addAgain(h, m)
	}
}

// operate has an operator ask a control plane for a change.
func (w *world) operate(h *host, m *machine, what string) {
	for _, h := range []*host{h, w.hosts[0], w.hosts[1]} {
		if h.control != nil {
			d := h.control.driven
			h.control.life.beside(func() {
				m.asked++
				defer func() { m.asked-- }()
				_ = d.ChangeMembers(coordinator.MemberChange{Do: what, Replica: addrPort(m.node.address).String()})
			})
			return
		}
	}
}

// addAgain has an operator add a replica, and look every second whether it was done: the
// control plane that was asked may have been lost, or take it out late.
func (w *world) addAgain(h *host, m *machine) {
	home, _ := w.store.config.ReplicaAt(addrPort(m.node.address))
	if m.drained == 0 && (home.Drained || !home.Address.IsValid()) {
		w.operate(h, m, "add")
	}
	w.after(time.Second, func() { w.addAgain(h, m) })
}

func except[T comparable](all []T, one T) []T {
	var rest []T
	for _, x := range all {
		if x != one {
			rest = append(rest, x)
		}
	}
	return rest
}

// pause has a host do nothing.
func (w *world) pause(n *node, l *life) (resume func()) {
	if n.paused {
		return func() {}
	}
	n.paused = true
	if l != nil {
		l.pause()
	}
	return func() {
		w.net.resume(n)
		if l != nil {
			l.goOn()
		}
	}
}

// anybody returns a host that speaks with coordinators, by number.
func (w *world) anybody(number int) *node {
	i := number % (len(w.machines) + len(w.clients))
	if i < len(w.machines) {
		return w.machines[i].node
	}
	return w.clients[i-len(w.machines)].node
}
