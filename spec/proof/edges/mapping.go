// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"fmt"

	"dalio/spec/proof/eval"
	"dalio/spec/proof/logic"
	"dalio/spec/tla"
)

// mapping tells which state of the theory a state of Dalio.tla is.
type mapping struct {
	universe *eval.Universe
	base     *eval.State // with the constants of the model
	epoch    tla.Value
	elements map[logic.Sort]map[string]int
}

// problem is what the functions below panic with; guarded makes an error of it.
type problem struct{ error }

func guarded(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			p, ok := r.(problem)
			if !ok {
				panic(r)
			}
			err = p.error
		}
	}()
	f()
	return nil
}

func fail(format string, args ...any) { panic(problem{fmt.Errorf(format, args...)}) }

func field(v tla.Value, name string) tla.Value {
	r, ok := v.(tla.Record)
	if !ok || r.Get(name) == nil {
		fail("%s has no field %s", v, name)
	}
	return r.Get(name)
}

func number(v tla.Value) int {
	n, ok := v.(tla.Int)
	if !ok {
		fail("%s is no number", v)
	}
	return int(n)
}

func boolean(v tla.Value) int {
	b, ok := v.(tla.Bool)
	if !ok {
		fail("%s is no truth value", v)
	}
	if b {
		return 1
	}
	return 0
}

func set(v tla.Value) tla.Set {
	s, ok := v.(tla.Set)
	if !ok {
		fail("%s is no set", v)
	}
	return s
}

func list(v tla.Value) []string {
	var out []string
	for _, e := range set(v) {
		out = append(out, e.String())
	}
	return out
}

const none = tla.Model("None")

// newMapping makes the universe of a model from its constants.
func newMapping(t *logic.Theory, constants tla.Value) (m *mapping, err error) {
	err = guarded(func() { m = theMapping(t, constants) })
	return m, err
}

func theMapping(t *logic.Theory, constants tla.Value) *mapping {
	get := func(name string) tla.Value { return field(constants, name) }
	m := &mapping{epoch: get("Epoch"), elements: map[logic.Sort]map[string]int{}}
	universe := map[logic.Sort][]string{
		"Client":  append([]string{"noClient"}, list(get("Clients"))...),
		"Replica": list(get("Replicas")),
		"Slot":    list(get("Slots")),
		"Key":     append([]string{"noKey"}, list(get("Keys"))...),
		"Value":   append([]string{"noValue"}, list(get("Contents"))...),
	}
	ids := []string{"noSession"}
	for n := 1; n <= number(get("LastCount")); n++ {
		for _, s := range set(get("Slots")) {
			ids = append(ids, tla.NewTuple(m.epoch, tla.Int(n), s).String())
		}
	}
	universe["Session"] = ids
	for s, names := range universe {
		m.elements[s] = map[string]int{}
		for i, n := range names {
			m.elements[s][n] = i
		}
		m.elements[s]["None"] = 0 // never met where the sort has no such element
	}
	most := max(number(get("LastSeq")), number(get("MostRequests")), number(get("LastCount")), number(get("MaxHops"))) + 1
	u, err := eval.NewUniverse(t, universe, most)
	if err != nil {
		panic(problem{err})
	}
	m.universe, m.base = u, eval.NewState(u)
	m.constants(constants)
	return m
}

func (m *mapping) constants(constants tla.Value) {
	get := func(name string) tla.Value { return field(constants, name) }
	b := m.base
	for _, s := range m.universe.Theory.Symbols {
		if s.Role == logic.Cure {
			b.Set(s.Name, 1)
		}
	}
	for n := 1; n <= number(get("LastCount")); n++ {
		for _, s := range set(get("Slots")) {
			i := m.session(tla.NewTuple(m.epoch, tla.Int(n), s))
			b.Set("slot", m.element("Slot", s), i)
			b.Set("number", n, i)
		}
	}
	b.Set("absent", m.element("Value", tla.Model("Absent")))
	for _, r := range set(get("Serving")) {
		b.Set("serving", 1, m.element("Replica", r))
	}
	for _, c := range set(get("Quitters")) {
		b.Set("quitter", 1, m.element("Client", c))
	}
	for _, w := range set(get("Wanted")) {
		t := w.(tla.Tuple)
		b.Set("wanted", 1, m.element("Client", t[0]), number(t[1]), m.word("Op", field(t[2], "op")),
			m.element("Key", field(t[2], "key")), m.element("Value", field(t[2], "value")))
	}
	for _, name := range list(get("Once")) {
		b.Set("once"+name[1:len(name)-1], 1)
	}
	b.Set("mayRefuse", boolean(get("MayRefuse")))
	b.Set("collects", boolean(get("Collects")))
	b.Set("lastSeq", number(get("LastSeq")))
	b.Set("lastCount", number(get("LastCount")))
	b.Set("maxHops", number(get("MaxHops")))
	for _, name := range []string{"AckStale", "Retries", "Redrive", "RedriveAtOnce"} {
		b.Set(name, boolean(field(get("Liveness"), name)))
	}
}

// element is the number of an element of the specification; that of none is 0.
func (m *mapping) element(s logic.Sort, v tla.Value) int {
	i, ok := m.elements[s][v.String()]
	if !ok {
		fail("%s is no %s", v, s)
	}
	return i
}

func (m *mapping) session(v tla.Value) int { return m.element("Session", v) }

// word is the number of the element that is called like a string.
func (m *mapping) word(s logic.Sort, v tla.Value) int {
	name, ok := v.(tla.String)
	if !ok {
		fail("%s is no string", v)
	}
	i, err := m.universe.Element(s, string(name))
	if err != nil {
		panic(problem{err})
	}
	return i
}

// version is the number of a version, which is of this epoch or zero.
func (m *mapping) version(v tla.Value) int {
	t, ok := v.(tla.Tuple)
	if !ok || len(t) != 2 {
		fail("%s is no version", v)
	}
	n := number(t[1])
	if (n == 0) != tla.Equal(t[0], tla.Int(0)) || n != 0 && !tla.Equal(t[0], m.epoch) {
		fail("%s is a version of no epoch of the model", v)
	}
	return n
}
