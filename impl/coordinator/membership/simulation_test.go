// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dalio/impl/config"
	"dalio/protocol"
)

// check is what must hold after every step of anybody.
func (w *world) check() {
	if h := w.owner(); h != nil {
		k := &h.kernel
		for i, id := range k.IDs {
			if k.Serving>>i&1 == 0 {
				continue
			}
			if m, ok := w.config.Member(id); !ok || !m.InSync {
				w.fatalf("%s reads from %d, which is not in sync: %+v", h.name, id, w.config.Members)
			}
		}
		for _, m := range w.config.Members {
			if !k.has(k.Members, m.ID) {
				w.fatalf("%s does not need member %d: %+v, mask %016b", h.name, m.ID, w.config.Members, k.Members)
			}
		}
	}
	for _, m := range w.config.Members {
		if r := w.holder(m.ID); m.InSync && r != nil {
			w.checkHolds(r)
		}
	}
}

// checkHolds checks that a member in sync has every committed write, with its
// session record.
func (w *world) checkHolds(r *simReplica) {
	for id, m := range w.committed {
		if m.Session == 0 {
			continue
		}
		key, slot := string(m.Key), m.Session.Slot()
		if r.old[key] || r.store[key].Version.Less(m.Version) {
			w.fatalf("member %d in sync holds %v of %q, and %s was committed as %v", r.id, r.store[key].Version, key, id, m.Version)
		}
		if have := r.sessions[slot]; r.old[slot] || protocol.RecordOf(&m).Newer(have) {
			w.fatalf("member %d in sync knows request %v/%d of the slot, and %s was committed", r.id, have.Session, have.Request, id)
		}
	}
}

// mayCrash says whether the replica's data may be lost: somebody else in sync has
// it, whatever becomes of the decisions that have been taken already.
func (w *world) mayCrash(r *simReplica) bool {
	if r.durable || w.config.Epoch == 0 {
		return true
	}
	sets := [][]config.Member{w.config.Members}
	for _, h := range w.hosts {
		if h.manager != nil && h.manager.taking != nil && h.manager.taking.recovered != nil {
			sets = append(sets, h.manager.taking.recovered)
		}
		if h.pending != nil && h.pending.base == w.revision {
			sets = append(sets, h.pending.members)
		}
	}
	for _, g := range w.ghosts {
		if g.base == w.revision {
			sets = append(sets, g.members)
		}
	}
	for _, set := range sets {
		if !slices.ContainsFunc(set, func(m config.Member) bool {
			other := w.holder(m.ID)
			return m.InSync && other != nil && other != r && other.up
		}) {
			return false
		}
	}
	return true
}

// happening is something that may happen next, with its weight.
type happening struct {
	weight int
	what   func(*rand.Rand)
}

// happenings lists what may happen. What a shard does all the time is weighted so
// that it gets somewhere between two faults.
func (w *world) happenings() []happening {
	host := func(r *rand.Rand) *simHost { return w.hosts[r.IntN(len(w.hosts))] }
	replica := func(r *rand.Rand) *simReplica { return w.replicas[r.IntN(len(w.replicas))] }
	client := func(r *rand.Rand) *lane { return w.lanes[r.IntN(len(w.lanes))] }
	key := func(r *rand.Rand) string { return []string{"x", "y"}[r.IntN(2)] }
	return []happening{
		{60, func(r *rand.Rand) {
			if h := host(r); h.step != nil {
				h.step()
			}
		}},
		{40, func(r *rand.Rand) { // A message arrives, and may arrive again.
			if n := len(w.wire); n > 0 {
				w.deliver(w.wire[r.IntN(n)])
			}
		}},
		{40, func(r *rand.Rand) { // A message arrives for the last time.
			if n := len(w.wire); n > 0 {
				i := r.IntN(n)
				p := w.wire[i]
				w.wire = slices.Delete(w.wire, i, i+1)
				w.deliver(p)
			}
		}},
		{30, func(r *rand.Rand) { w.write(client(r), key(r), host(r)) }},
		{30, func(r *rand.Rand) { w.read(client(r), key(r), host(r)) }},
		{20, func(r *rand.Rand) { host(r).probe() }},
		{10, func(r *rand.Rand) { host(r).settle(func() bool { return r.IntN(2) == 0 }) }},
		{20, func(r *rand.Rand) {
			joiner := replica(r)
			joiner.goOn(w.replicaAt(joiner.catchUp.From))
		}},
		{10, func(r *rand.Rand) { w.now += time.Duration(1+r.IntN(150)) * time.Millisecond }},
		{6, func(r *rand.Rand) { replica(r).up = true }},
		{6, func(r *rand.Rand) { clear(host(r).suspects) }},
		{6, func(r *rand.Rand) { clear(host(r).cut) }},
		{6, func(r *rand.Rand) {
			if h := host(r); h.step == nil {
				h.boot()
			}
		}},
		// The faults.
		{2, func(r *rand.Rand) {
			if victim := replica(r); w.mayCrash(victim) {
				w.note("member %d at %v crashes", victim.id, victim.address)
				victim.crash()
			}
		}},
		{2, func(r *rand.Rand) { host(r).suspects[replica(r).address] = true }},
		{2, func(r *rand.Rand) { host(r).cut[replica(r).address] = true }},
		{2, func(r *rand.Rand) {
			if h := host(r); h.step != nil {
				h.crash()
			}
		}},
		{1, func(r *rand.Rand) { host(r).lose() }},
		{1, func(r *rand.Rand) { host(r).wanted = "told to" }},
		{2, func(r *rand.Rand) { // What a dead control plane asked for arrives.
			if n := len(w.ghosts); n > 0 {
				i := r.IntN(n)
				ghost := w.ghosts[i]
				w.ghosts = slices.Delete(w.ghosts, i, i+1)
				w.note("a late request of a dead control plane arrives")
				ghost.effect()
			}
		}},
		{1, func(r *rand.Rand) { w.operator(replica(r).address, r.IntN(2) == 0) }},
	}
}

// happen lets one thing happen, chosen by the number.
func (w *world) happen(number uint64) {
	w.stats["steps"]++
	// Numbers drawn by rapid are small more often than not: hashing them together
	// with the step makes all choices equally likely.
	r := rand.New(rand.NewPCG(number, uint64(w.stats["steps"])))
	all := w.happenings()
	sum := 0
	for _, h := range all {
		sum += h.weight
	}
	n := r.IntN(sum)
	for _, h := range all {
		if n -= h.weight; n < 0 {
			h.what(r)
			return
		}
	}
}

// lose has the host disappear, with its kernel.
func (h *simHost) lose() {
	if h.step != nil {
		h.crash()
	}
	h.kernel = simKernel{host: h, entries: make([]entry, len(h.world.lanes))}
}

// operator drains a replica, or has it join again.
func (w *world) operator(a netip.AddrPort, drained bool) {
	w.config, w.revision = w.config.WithReplica(config.Replica{Address: a, Drained: drained}), w.revision+1
}

func (w *world) write(l *lane, key string, h *simHost) {
	if !l.open {
		l.request++
		l.key, l.value, l.open = key, fmt.Sprint(l.slot, ".", l.request), true
	}
	h.kernel.request(l)
}

func (w *world) read(l *lane, key string, h *simHost) {
	if !l.reading {
		l.readID += uint64(len(w.lanes))
		l.readID += uint64(l.slot) - l.readID%uint64(len(w.lanes))
		l.reading, l.readKey, l.readFrom = true, key, w.committed["newest "+key].Version
	}
	k := &h.kernel
	for i, id := range k.IDs {
		if k.Epoch != 0 && k.Serving>>i&1 != 0 {
			w.send(k.host, protocol.Message{Type: protocol.Read, Epoch: k.Epoch, Replica: id, Request: l.readID,
				Key: []byte(l.readKey), Sent: uint64(w.now)})
		}
	}
}

// probe asks every member for a sign of life, and gets it at once.
func (h *simHost) probe() {
	for _, id := range h.kernel.IDs {
		if r := h.world.holder(id); r != nil && r.up && r.open && h.kernel.Epoch == r.epoch {
			h.kernel.known(&protocol.Message{Epoch: r.epoch, Replica: id, Sent: uint64(h.world.now)})
		}
	}
}

// heal ends all faults and lets the shard come to rest.
func (w *world) heal() {
	w.note("all faults end")
	w.ghosts = nil
	for _, r := range w.replicas {
		r.up = true
		w.config = w.config.WithReplica(config.Replica{Address: r.address})
	}
	w.revision++
	for _, h := range w.hosts {
		clear(h.suspects)
		clear(h.cut)
		if h.step == nil {
			h.boot()
		}
	}
	if w.owner() == nil {
		w.hosts[0].wanted = "nobody serves"
	}
	for range 400 {
		w.now += 10 * time.Millisecond
		for _, h := range w.hosts {
			h.step()
			h.probe()
		}
		for _, r := range w.replicas {
			r.goOn(w.replicaAt(r.catchUp.From))
		}
		for _, l := range w.lanes {
			for _, h := range w.hosts {
				if l.open {
					h.kernel.request(l)
				}
			}
		}
		for n := len(w.wire); n > 0; n-- {
			p := w.wire[0]
			w.wire = w.wire[1:]
			w.deliver(p)
		}
		w.check()
	}
	w.expectWhole()
}

// expectWhole checks that the shard serves with all replicas in sync.
func (w *world) expectWhole() {
	h := w.owner()
	if h == nil {
		w.fatalf("nobody serves: %+v", w.config)
	}
	if h.kernel.Epoch == 0 || count(h.kernel.Serving) != len(w.replicas) || w.config.InSync() != len(w.replicas) ||
		len(w.config.Members) != len(w.replicas) || count(h.kernel.Members) != len(w.replicas) {
		w.fatalf("the shard is not whole: %+v, kernel %+v", w.config.Members, h.kernel.Kernel)
	}
	for _, l := range w.lanes {
		if l.open {
			w.fatalf("request %v/%d was never answered", l.session, l.request)
		}
	}
}

func (w *world) end() {
	for _, h := range w.hosts {
		if h.step != nil {
			h.crash()
		}
	}
}

// steps is how much happens in a walk. A failover and a joining take some twenty
// steps of the control plane each.
const steps = 2000

// walk lets things happen, by the numbers given, and then has all faults end.
func (w *world) walk(number func() uint64) {
	defer w.end()
	for range 30 { // Most walks should begin with a shard that serves.
		w.hosts[0].step()
	}
	for range steps {
		w.happen(number())
		w.check()
	}
	w.heal()
}

// TestWhateverFails lets two control planes, three replicas and their clients act
// in any order, with crashes between any two steps, and checks after each that
// nothing committed is lost and nothing older is read.
func TestWhateverFails(t *testing.T) {
	for _, durable := range []bool{false, true} {
		t.Run(fmt.Sprintf("durable %v", durable), func(t *testing.T) {
			total := map[string]int{}
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld(t, 3, 2, durable)
				w.walk(func() uint64 { return rapid.Uint64().Draw(t, "choice") })
				for name, n := range w.stats {
					total[name] += n
				}
			})
			for _, kind := range Kinds() {
				if total[string(kind)] == 0 && kind != Replace && kind != LeastSize {
					t.Errorf("no walk came to %q: the check saw nothing of it", kind)
				}
			}
			t.Logf("%v", total)
		})
	}
}
