// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"dalio/spec/proof/eval"
	"dalio/spec/proof/logic"
	"dalio/spec/tla"
)

func shardMapping(t *logic.Theory, constants tla.Value) (m *mapping, err error) {
	err = guarded(func() { m = theShardMapping(t, constants) })
	return m, err
}

func theShardMapping(t *logic.Theory, constants tla.Value) *mapping {
	get := func(name string) tla.Value { return field(constants, name) }
	most := max(number(get("LastEpoch")), number(get("LastId")), number(get("Most"))) + 1
	m := newMapping(t, most, map[logic.Sort][]string{
		"Coordinator": list(get("Coordinators")),
		"Node":        list(get("Nodes")),
		"Id":          append([]string{"noId"}, list(get("Ids"))...),
	})
	b := m.base
	for _, r := range set(get("Ids")) {
		id := r.(tla.Tuple)
		b.Set("nodeOf", m.element("Node", id[0]), m.element("Id", r))
		b.Set("join", number(id[1]), m.element("Id", r))
	}
	b.Set("lastEpoch", number(get("LastEpoch")))
	b.Set("lastId", number(get("LastId")))
	b.Set("survives", boolean(get("Survives")))
	for _, f := range get("Cures").(tla.Record) {
		b.Set(f.Name, boolean(f.Value))
	}
	return m
}

// ids has a relation hold for the ids in a set, after the other arguments.
func (m *mapping) ids(s *eval.State, relation string, v tla.Value, args ...int) {
	for _, r := range set(v) {
		s.Set(relation, 1, append(append([]int(nil), args...), m.element("Id", r))...)
	}
}

var shardVariables = map[string]func(*mapping, *eval.State, tla.Value){
	"configs": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("epoch", "owner", "member", "inSync", "minted")
		configs, ok := v.(tla.Tuple)
		if !ok {
			fail("%s is no sequence", v)
		}
		s.Set("epoch", len(configs))
		for i, c := range configs {
			s.Set("owner", m.element("Coordinator", field(c, "coordinator")), i+1)
			m.ids(s, "member", field(c, "members"), i+1)
			m.ids(s, "inSync", field(c, "inSync"), i+1)
			m.each("Node", field(c, "minted"), func(n int, v tla.Value) { s.Set("minted", number(v), i+1, n) })
		}
	},
	"kernels": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("kernelEpoch", "mask", "serving")
		m.each("Coordinator", v, func(x int, k tla.Value) {
			s.Set("kernelEpoch", number(field(k, "epoch")), x)
			m.ids(s, "mask", field(k, "mask"), x)
			m.ids(s, "serving", field(k, "serving"), x)
		})
	},
	"controls": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("taking", "phase", "from", "installed", "joining")
		m.each("Coordinator", v, func(x int, c tla.Value) {
			s.Set("taking", number(field(c, "taking")), x)
			if phase := field(c, "phase"); !tla.Equal(phase, tla.String("none")) {
				s.Set("phase", m.word("Phase", phase), x)
			}
			m.ids(s, "from", field(c, "from"), x)
			m.ids(s, "installed", field(c, "installed"), x)
			s.Set("joining", m.element("Id", field(c, "joining")), x)
		})
	},
	"silent": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("silent")
		for i, ids := range v.(tla.Tuple) {
			m.ids(s, "silent", ids, i+1)
		}
	},
	"members": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("id", "nodeEpoch", "isOpen", "catchUp", "source")
		m.each("Node", v, func(n int, f tla.Value) {
			s.Set("id", m.element("Id", field(f, "id")), n)
			s.Set("nodeEpoch", number(field(f, "epoch")), n)
			s.Set("isOpen", boolean(field(f, "open")), n)
			s.Set("catchUp", m.word("Progress", field(f, "catchup")), n)
			s.Set("source", m.element("Id", field(f, "source")), n)
		})
	},
	"faults": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("removals", "crashes", "power", "suspects")
		s.Set("removals", number(field(v, "removals")))
		s.Set("crashes", number(field(v, "crashes")))
		s.Set("power", number(field(v, "power")))
		m.ids(s, "suspects", field(v, "suspects"))
	},
}
