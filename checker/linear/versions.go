// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"slices"
	"strings"

	"dalio/traces"
)

// A system that numbers its writes can tell with each answer which write it was, or
// which write's value it returned. That is a certificate: the order of a key's
// operations by version, each write before the reads of its value. The order is
// legal by construction if each version has one write and all its reads returned
// what that wrote, so all that is left to check is that it keeps to real time: no
// operation comes before one that was over when it began.
//
// That can be checked while the history is read, in one pass, with what is open and
// what may still be read in memory and nothing else. Let an operation's floor be the
// newest version of all that was over when it was invoked. A read's version must not
// be below its floor, a write's must be above: another operation of its version that
// was over before it began would be a read, which comes after it in the order.
//
// A write of unknown outcome has no version. If it was read, then under the version
// that the reads tell, which must be above its floor; else it never happened. With
// equal values it may not be clear which write a version was, but they differ in
// nothing but their floors: giving the lowest versions to the lowest floors succeeds
// if anything does.
//
// The versions are what the system claims. A certificate that fails proves nothing,
// and the key is judged as if there were none. One that holds is an order that anyone
// can check against the values and times alone, whoever made it up.

// ledger is one key's certificate so far.
type ledger struct {
	key        string
	operations int
	broken     bool
	// over is the newest version of what was over before now, and just that of what
	// has ended at this very time, to which what is invoked now is concurrent.
	now        int64
	over, just traces.Version
	held       map[traces.Version]holding
	enough     int // so many are held before those that nobody can read are dropped
	open       []*asked
	lost       []*asked // writes of unknown outcome
}

// holding is what a version holds, as a write or a read told.
type holding struct {
	value   *string
	written bool // its write is known
}

// asked is an operation that was invoked.
type asked struct {
	of    *ledger
	floor traces.Version
	f     string
	value *string
}

// certifier keeps the ledgers of all keys while a history is read.
type certifier struct {
	keys map[string]*ledger
	open map[int]*asked
}

func newCertifier() *certifier {
	return &certifier{keys: make(map[string]*ledger), open: make(map[int]*asked)}
}

// add takes the next event of a history that fits together.
func (c *certifier) add(e *traces.Event) {
	if e.Type == traces.Invoke {
		l := c.keys[e.Key]
		if l == nil {
			l = &ledger{key: e.Key, held: make(map[traces.Version]holding), enough: leastHeld}
			c.keys[e.Key] = l
		}
		c.open[e.Process] = l.invoke(e)
		return
	}
	a := c.open[e.Process]
	delete(c.open, e.Process)
	a.of.complete(a, e)
}

// close returns the keys in order, each with whether its certificate holds.
func (c *certifier) close() []*ledger {
	all := make([]*ledger, 0, len(c.keys))
	for _, l := range c.keys {
		l.lost = append(l.lost, l.open...)
		l.broken = l.broken || !l.settle()
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *ledger) int { return strings.Compare(a.key, b.key) })
	return all
}

func (l *ledger) invoke(e *traces.Event) *asked {
	l.operations++
	l.advance(e.Time)
	a := &asked{of: l, floor: l.over, f: e.F, value: e.Value}
	if !l.broken {
		l.open = append(l.open, a)
	}
	return a
}

func (l *ledger) advance(now int64) {
	if now > l.now {
		l.now, l.over, l.just = now, newer(l.over, l.just), traces.Version{}
	}
}

func newer(v, w traces.Version) traces.Version {
	if v.Less(w) {
		return w
	}
	return v
}

func (l *ledger) complete(a *asked, e *traces.Event) {
	if l.broken {
		return
	}
	l.advance(e.Time)
	l.open = slices.Delete(l.open, slices.Index(l.open, a), slices.Index(l.open, a)+1)
	switch {
	case e.Type == traces.OK && e.Version == nil:
		l.abandon()
	case e.Type == traces.OK:
		l.happened(a, e)
	case e.Type == traces.Info && a.f != traces.Read:
		l.lost = append(l.lost, a)
	}
}

// happened takes an operation with its version.
func (l *ledger) happened(a *asked, e *traces.Event) {
	v, none := *e.Version, traces.Version{}
	held, known := l.held[v]
	ok := false
	if a.f == traces.Read {
		ok = !v.Less(a.floor) && (!known || same(held.value, e.Value)) && (v != none || e.Value == nil)
		held.value = e.Value
	} else {
		ok = a.floor.Less(v) && !held.written && (!known || same(held.value, a.value))
		held = holding{a.value, true}
	}
	if !ok {
		l.abandon()
		return
	}
	if v != none {
		l.held[v] = held
	}
	l.just = newer(l.just, v)
	if len(l.held) > l.enough {
		l.forget()
	}
}

// abandon gives the certificate up, and what was kept for it.
func (l *ledger) abandon() {
	l.broken, l.held, l.open, l.lost = true, nil, nil, nil
}

const leastHeld = 64

// forget drops the versions below all floors, of which no more can be told: who read
// or wrote one now would be below its own. What is not settled stays.
func (l *ledger) forget() {
	lowest := l.over
	for _, a := range l.open {
		if a.floor.Less(lowest) {
			lowest = a.floor
		}
	}
	for v, h := range l.held {
		if h.written && v.Less(lowest) {
			delete(l.held, v)
		}
	}
	l.enough = max(leastHeld, 2*len(l.held))
}

// settle finds a write of unknown outcome for each version that was read and whose
// write is not known.
func (l *ledger) settle() bool {
	versions, floors := map[string][]traces.Version{}, map[string][]traces.Version{}
	for v, h := range l.held {
		if !h.written {
			versions[name(h.value)] = append(versions[name(h.value)], v)
		}
	}
	if len(versions) == 0 {
		return true
	}
	for _, a := range l.lost {
		if a.f != traces.Read && versions[name(a.value)] != nil {
			floors[name(a.value)] = append(floors[name(a.value)], a.floor)
		}
	}
	for value, some := range versions {
		from := floors[value]
		if len(from) < len(some) {
			return false
		}
		slices.SortFunc(some, compareVersions)
		slices.SortFunc(from, compareVersions)
		for i, v := range some {
			if !from[i].Less(v) {
				return false
			}
		}
	}
	return true
}

// name tells values and the absence of one apart.
func name(value *string) string {
	if value == nil {
		return ""
	}
	return "=" + *value
}

func same(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

func compareVersions(v, w traces.Version) int {
	switch {
	case v.Less(w):
		return -1
	case w.Less(v):
		return 1
	}
	return 0
}
