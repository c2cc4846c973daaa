// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"dalio/spec/proof/logic"
	"dalio/spec/tla"
)

func dalioMapping(t *logic.Theory, constants tla.Value) (m *mapping, err error) {
	err = guarded(func() { m = theDalioMapping(t, constants) })
	return m, err
}

func theDalioMapping(t *logic.Theory, constants tla.Value) *mapping {
	get := func(name string) tla.Value { return field(constants, name) }
	ids := []string{"noSession"}
	for n := 1; n <= number(get("LastCount")); n++ {
		for _, s := range set(get("Slots")) {
			ids = append(ids, tla.NewTuple(get("Epoch"), tla.Int(n), s).String())
		}
	}
	most := max(number(get("LastSeq")), number(get("MostRequests")), number(get("LastCount")), number(get("MaxHops"))) + 1
	m := newMapping(t, most, map[logic.Sort][]string{
		"Client":  append([]string{"noClient"}, list(get("Clients"))...),
		"Replica": list(get("Replicas")),
		"Slot":    list(get("Slots")),
		"Session": ids,
		"Key":     append([]string{"noKey"}, list(get("Keys"))...),
		"Value":   append([]string{"noValue"}, list(get("Contents"))...),
	})
	m.epoch = get("Epoch")
	m.constants(constants)
	return m
}

func (m *mapping) constants(constants tla.Value) {
	get := func(name string) tla.Value { return field(constants, name) }
	b := m.base
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
	for name, symbol := range map[string]string{"LastSeq": "lastSeq", "LastCount": "lastCount", "MaxHops": "maxHops"} {
		b.Set(symbol, number(get(name)))
	}
	b.Set("mayRefuse", boolean(get("MayRefuse")))
	b.Set("collects", boolean(get("Collects")))
	for _, f := range get("Liveness").(tla.Record) {
		b.Set(f.Name, boolean(f.Value))
	}
}

func (m *mapping) session(v tla.Value) int { return m.element("Session", v) }

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
