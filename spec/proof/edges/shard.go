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
	most := max(number(get("LastEpoch")), number(get("LastId")), number(get("LastSeq")), number(get("Most"))) + 1
	versions := []string{"zero"}
	for e := 1; e <= number(get("LastEpoch")); e++ {
		for n := 0; n <= number(get("LastSeq")); n++ {
			versions = append(versions, tla.NewTuple(tla.Int(e), tla.Int(n)).String())
		}
	}
	m := newMapping(t, most, map[logic.Sort][]string{
		"Coordinator": list(get("Coordinators")),
		"Node":        list(get("Nodes")),
		"Id":          append([]string{"noId"}, list(get("Ids"))...),
		"Key":         append([]string{"noKey"}, list(get("Keys"))...),
		"Slot":        list(get("Slots")),
		"Version":     versions,
	})
	m.elements["Version"]["<<0, 0>>"] = 0
	b := m.base
	for i := 1; i < len(versions); i++ {
		each := number(get("LastSeq")) + 1
		b.Set("epochOf", (i-1)/each+1, i)
		b.Set("seqOf", (i-1)%each, i)
	}
	for _, r := range set(get("Ids")) {
		id := r.(tla.Tuple)
		b.Set("nodeOf", m.element("Node", id[0]), m.element("Id", r))
		b.Set("join", number(id[1]), m.element("Id", r))
	}
	b.Set("lastEpoch", number(get("LastEpoch")))
	b.Set("lastId", number(get("LastId")))
	b.Set("survives", boolean(get("Survives")))
	b.Set("durable", boolean(get("Durable")))
	b.Set("settles", boolean(get("Settles")))
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

// versions has a function be what records have, by key.
func (m *mapping) versions(s *eval.State, name string, records tla.Value, at int) {
	m.each("Key", records, func(k int, v tla.Value) { s.Set(name, m.element("Version", v), at, k) })
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
		s.Reset("kernelEpoch", "mask", "serving", "kernelSeq", "entrySeq", "entryKey", "isDone")
		m.each("Coordinator", v, func(x int, k tla.Value) {
			s.Set("kernelEpoch", number(field(k, "epoch")), x)
			m.ids(s, "mask", field(k, "mask"), x)
			m.ids(s, "serving", field(k, "serving"), x)
			s.Set("kernelSeq", number(field(k, "seq")), x)
			m.each("Slot", field(k, "entries"), func(t int, v tla.Value) {
				e := v.(tla.Tuple)
				s.Set("entrySeq", number(e[0]), x, t)
				s.Set("entryKey", m.element("Key", e[1]), x, t)
				s.Set("isDone", boolean(e[2]), x, t)
			})
		})
	},
	"controls": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("taking", "phase", "from", "installed", "joining", "recovered")
		m.each("Coordinator", v, func(x int, c tla.Value) {
			s.Set("taking", number(field(c, "taking")), x)
			if phase := field(c, "phase"); !tla.Equal(phase, tla.String("none")) {
				s.Set("phase", m.word("Phase", phase), x)
			}
			m.ids(s, "from", field(c, "from"), x)
			m.ids(s, "installed", field(c, "installed"), x)
			s.Set("joining", m.element("Id", field(c, "joining")), x)
			m.versions(s, "recovered", field(c, "recovered"), x)
		})
	},
	"silent": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("silent")
		for i, ids := range v.(tla.Tuple) {
			m.ids(s, "silent", ids, i+1)
		}
	},
	"members": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("id", "nodeEpoch", "isOpen", "catchUp", "source", "version", "outdated", "snapshot", "floor")
		m.each("Node", v, func(n int, f tla.Value) {
			s.Set("id", m.element("Id", field(f, "id")), n)
			s.Set("nodeEpoch", number(field(f, "epoch")), n)
			s.Set("isOpen", boolean(field(f, "open")), n)
			s.Set("catchUp", m.word("Progress", field(f, "catchup")), n)
			s.Set("source", m.element("Id", field(f, "source")), n)
			m.versions(s, "version", field(f, "store"), n)
			m.versions(s, "snapshot", field(f, "snapshot"), n)
			s.Set("floor", m.element("Version", field(f, "floor")), n)
			for _, k := range set(field(f, "old")) {
				s.Set("outdated", 1, n, m.element("Key", k))
			}
		})
	},
	"written": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("Write", "keyOf")
		for _, w := range set(v) {
			t := w.(tla.Tuple)
			r, version, k := m.element("Id", t[0]), m.element("Version", t[1]), m.element("Key", t[2])
			s.Set("Write", 1, r, version, k)
			s.Set("keyOf", k, version)
		}
	},
	"acknowledged": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("WriteAck")
		for _, a := range set(v) {
			t := a.(tla.Tuple)
			s.Set("WriteAck", 1, m.element("Id", t[0]), m.element("Version", t[1]))
		}
	},
	"committed": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("committed")
		for _, w := range set(v) {
			s.Set("committed", 1, m.element("Version", w))
		}
	},
	"faults": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("removals", "crashes", "power", "suspects")
		s.Set("removals", number(field(v, "removals")))
		s.Set("crashes", number(field(v, "crashes")))
		s.Set("power", number(field(v, "power")))
		m.ids(s, "suspects", field(v, "suspects"))
	},
}
