// SPDX-License-Identifier: Apache-2.0

package sim

// begin has a fault begin, and returns what ends it.
func (w *world) begin(f *Fault) (end func()) {
	machine := w.machines[f.Who%len(w.machines)]
	host := w.hosts[f.Whom%len(w.hosts)]
	switch f.Kind {
	case "storm":
		b := &burst{weather: f.weather}
		if f.Who%2 == 0 {
			b.at = w.anybody(f.Whom)
		}
		w.net.bursts = append(w.net.bursts, b)
		return func() { w.net.bursts = except(w.net.bursts, b) }
	case "cut":
		// One way, or both, between a replica or a client and a coordinator.
		other := machine.node
		if f.Who%5 == 4 {
			other = w.clients[f.Whom%len(w.clients)].node
		}
		links := [][2]*node{{other, host.node}, {host.node, other}}
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
	case "pause-replica":
		return w.pause(machine.node)
	case "pause-client":
		return w.pause(w.clients[f.Who%len(w.clients)].node)
	case "old-frames":
		for range 1 + f.Who%16 {
			w.net.repeat()
		}
	}
	return func() {}
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
func (w *world) pause(n *node) (resume func()) {
	if n.paused {
		return func() {}
	}
	n.paused = true
	return func() { w.net.resume(n) }
}

// anybody returns a host that speaks with coordinators, by number.
func (w *world) anybody(number int) *node {
	if i := number % (len(w.machines) + len(w.clients)); i < len(w.machines) {
		return w.machines[i].node
	} else {
		return w.clients[i-len(w.machines)].node
	}
}
