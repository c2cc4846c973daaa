// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"dalio/impl/config"
	"dalio/protocol"
)

const (
	simLease = 200 * time.Millisecond
	simGrace = 200 * time.Millisecond
)

// world is a shard with two coordinators in which everything that happens is
// chosen: which message arrives, who takes its next step, who crashes and when.
type world struct {
	t        interface{ Fatalf(string, ...any) }
	broken   broken
	now      time.Duration
	config   config.Config
	revision config.Revision
	replicas []*simReplica
	hosts    []*simHost
	lanes    []*lane
	// wire has the messages on their way, each to be delivered, again or never.
	wire []packet
	// ghosts are requests of control planes that have died, which may yet arrive.
	ghosts []request
	// committed has what was answered or may have been, by lane.
	committed map[string]protocol.Message
	stats     map[string]int
	// log has what happened lately, for the message of a failure.
	log []string
}

// logged is how much of a walk a failure shows.
const logged = 40

func (w *world) note(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if n := len(w.log); n > 0 && strings.HasSuffix(w.log[n-1], what) {
		return
	}
	w.log = append(w.log, fmt.Sprintf("%6d %v %s", w.stats["steps"], w.now, what))
	w.log = w.log[max(0, len(w.log)-logged):]
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Fatalf("%s\n%s", strings.Join(w.log, "\n"), fmt.Sprintf(format, args...))
}

type packet struct {
	m    protocol.Message
	host *simHost
}

// lane is a client's session with one write open at a time, and a read.
type lane struct {
	slot       int
	session    protocol.SessionID
	request    uint64
	key, value string
	open       bool
	done       int
	// The read that is open, and the newest version that it must not miss.
	reading  bool
	readID   uint64
	readKey  string
	readFrom protocol.Version
}

func addressOf(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + i)}), protocol.Port)
}

func newWorld(t interface{ Fatalf(string, ...any) }, replicas, lanes int, durable bool) *world {
	w := &world{t: t, committed: map[string]protocol.Message{}, stats: map[string]int{}, revision: 1}
	w.config = config.Config{Generation: 1, MinMembers: 1, Sessions: 64}
	for i := range replicas {
		r := newReplica(addressOf(i), durable)
		w.replicas = append(w.replicas, r)
		w.config.Members = append(w.config.Members, config.Member{ID: protocol.ReplicaID(protocol.MaxMembers + i), Address: r.address, InSync: true})
		w.config.Replicas = append(w.config.Replicas, config.Replica{Address: r.address})
	}
	for i := range lanes {
		w.lanes = append(w.lanes, &lane{slot: i})
	}
	for _, name := range []string{"a", "b"} {
		h := &simHost{name: name, world: w, suspects: map[netip.AddrPort]bool{}, cut: map[netip.AddrPort]bool{}}
		h.kernel = simKernel{host: h, entries: make([]entry, lanes)}
		w.hosts = append(w.hosts, h)
		h.boot()
	}
	w.hosts[0].wanted = "founding"
	return w
}

func (w *world) replicaAt(a netip.AddrPort) *simReplica {
	for _, r := range w.replicas {
		if r.address == a {
			return r
		}
	}
	return nil
}

func (w *world) holder(id protocol.ReplicaID) *simReplica {
	for _, r := range w.replicas {
		if r.id == id && id != 0 {
			return r
		}
	}
	return nil
}

func (w *world) send(h *simHost, m protocol.Message) {
	w.wire = append(w.wire, packet{m, h})
	if len(w.wire) > 64 {
		w.wire = w.wire[1:]
	}
}

// deliver hands a message to whom it is for.
func (w *world) deliver(p packet) {
	switch p.m.Type {
	case protocol.Write, protocol.Read:
		for _, r := range w.replicas {
			handle := r.write
			if p.m.Type == protocol.Read {
				handle = r.read
			}
			if answer, ok := handle(p.m); ok {
				w.send(p.host, answer)
			}
		}
	case protocol.WriteAck:
		p.host.kernel.acknowledge(p.m)
	case protocol.ReadReply:
		l := w.lanes[p.m.Request%uint64(len(w.lanes))]
		if l.reading && l.readID == p.m.Request && p.host.kernel.release(p.m) {
			l.reading = false
			w.stats["reads"]++
			if p.m.Version.Less(l.readFrom) {
				w.fatalf("a read of %q returned version %v, and %v had been seen or committed before it began", l.readKey, p.m.Version, l.readFrom)
			}
			w.seen(l.readKey, p.m.Version)
		}
	}
}

// seen takes note that a version of a key is visible: no later read may miss it.
func (w *world) seen(key string, v protocol.Version) {
	if m := w.committed["newest "+key]; m.Version.Less(v) {
		w.committed["newest "+key] = protocol.Message{Version: v}
	}
}

func (w *world) commit(slot int, e *entry) {
	w.stats["commits"]++
	id := fmt.Sprint(e.owner, "/", e.request)
	if before, ok := w.committed[id]; ok && before.Version != e.version {
		w.fatalf("request %s was committed as %v and as %v", id, before.Version, e.version)
	}
	w.committed[id] = e.write
	w.seen(string(e.write.Key), e.version)
	l := w.lanes[slot]
	if l.open && l.session == e.owner && l.request == e.request {
		l.open = false
		l.done++
	}
}

// answer tells a lane that its write was committed as a version.
func (w *world) answer(l *lane, v protocol.Version) {
	if !l.open {
		return
	}
	id := fmt.Sprint(l.session, "/", l.request)
	if before, ok := w.committed[id]; ok && before.Version != v {
		w.fatalf("request %s was committed as %v and answered as %v", id, before.Version, v)
	}
	w.committed[id] = protocol.Message{Version: v, Session: l.session, Writer: l.session, Request: l.request, Key: []byte(l.key)}
	w.seen(l.key, v)
	l.open = false
	l.done++
}

func (w *world) expired(l *lane) {
	w.stats["expired"]++
	l.session, l.open = 0, false
}

// owner returns the host whose kernel serves the configuration's epoch, if any.
func (w *world) owner() *simHost {
	i := slices.IndexFunc(w.hosts, func(h *simHost) bool {
		return h.name == w.config.Coordinator && h.kernel.Epoch == w.config.Epoch && h.kernel.Epoch != 0
	})
	if i < 0 {
		return nil
	}
	return w.hosts[i]
}
