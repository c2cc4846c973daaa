// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"dalio/spec/proof/eval"
	"dalio/spec/tla"
)

// dalioVariables tells of each variable of Dalio.tla what it is here.
var dalioVariables = map[string]func(*mapping, *eval.State, tla.Value){
	"messages": (*mapping).messages,
	"losses":   func(m *mapping, s *eval.State, v tla.Value) { s.Reset("losses"); s.Set("losses", number(v)) },
	"nextSeq":  func(m *mapping, s *eval.State, v tla.Value) { s.Reset("nextSeq"); s.Set("nextSeq", number(v)) },
	"entries":  (*mapping).entries,
	"minted": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("minted")
		m.each("Slot", v, func(at int, v tla.Value) { s.Set("minted", number(v), at) })
	},
	"unpublished": func(m *mapping, s *eval.State, v tla.Value) {
		m.each("Slot", v, func(_ int, v tla.Value) {
			if len(set(v)) > 0 {
				fail("an entry is late, and no cure is off")
			}
		})
	},
	"store": (*mapping).store,
	"collect": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("collect")
		m.each("Replica", v, func(at int, v tla.Value) { s.Set("collect", m.version(v), at) })
	},
	"sessions": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("session")
		m.each("Client", v, func(at int, v tla.Value) { s.Set("session", m.session(v), at) })
	},
	"requests": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("request")
		m.each("Client", v, func(at int, v tla.Value) { s.Set("request", number(v), at) })
	},
	"calls": (*mapping).calls,
	"floors": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("floor")
		m.each("Client", v, func(at int, v tla.Value) { s.Set("floor", m.version(v), at) })
	},
	"sequenced": (*mapping).sequenced,
	"committed": func(m *mapping, s *eval.State, v tla.Value) {
		s.Reset("committed")
		for _, w := range set(v) {
			s.Set("committed", 1, m.version(w))
		}
	},
}

func (m *mapping) entries(s *eval.State, v tla.Value) {
	s.Reset("owner", "nonceClient", "nonceNumber", "lastRequest", "entryKey", "entryValue", "seq", "acks", "done")
	m.each("Slot", v, func(at int, e tla.Value) {
		s.Set("owner", m.session(field(e, "owner")), at)
		if n := field(e, "nonce"); !tla.Equal(n, none) {
			client, n := m.nonce(n)
			s.Set("nonceClient", client, at)
			s.Set("nonceNumber", n, at)
		}
		s.Set("lastRequest", number(field(e, "request")), at)
		s.Set("entryKey", m.element("Key", field(e, "key")), at)
		s.Set("entryValue", m.element("Value", field(e, "value")), at)
		s.Set("seq", number(field(e, "seq")), at)
		s.Set("done", boolean(field(e, "done")), at)
		for _, r := range set(field(e, "acks")) {
			s.Set("acks", 1, at, m.element("Replica", r))
		}
	})
}

func (m *mapping) nonce(v tla.Value) (client, n int) {
	t, ok := v.(tla.Tuple)
	if !ok || len(t) != 2 {
		fail("%s is no nonce", v)
	}
	return m.element("Client", t[0]), number(t[1])
}

func (m *mapping) store(s *eval.State, v tla.Value) {
	s.Reset("version", "stored", "author")
	absent := s.Get("absent")
	for r := range m.universe.Names["Replica"] {
		s.Set("stored", absent, r, 0) // of no key
	}
	m.each("Replica", v, func(r int, keys tla.Value) {
		m.each("Key", keys, func(k int, w tla.Value) {
			s.Set("version", m.version(field(w, "version")), r, k)
			s.Set("stored", m.element("Value", field(w, "value")), r, k)
			s.Set("author", m.session(field(w, "writer")), r, k)
		})
	})
}

func (m *mapping) calls(s *eval.State, v tla.Value) {
	s.Reset("status", "op", "callKey", "callValue")
	m.each("Client", v, func(at int, c tla.Value) {
		s.Set("status", m.word("Status", field(c, "status")), at)
		s.Set("op", m.word("Op", field(c, "op")), at)
		s.Set("callKey", m.element("Key", field(c, "key")), at)
		s.Set("callValue", m.element("Value", field(c, "value")), at)
	})
}

// sequenced must have one write for each version up to the last.
func (m *mapping) sequenced(s *eval.State, v tla.Value) {
	s.Reset("writer", "writeRequest", "writeKey", "writeValue")
	seen := map[int]bool{}
	for _, w := range set(v) {
		at := m.version(field(w, "version"))
		if seen[at] || at < 1 || at > len(set(v)) {
			fail("versions are not given out one after the other: %s", v)
		}
		seen[at] = true
		s.Set("writer", m.session(field(w, "session")), at)
		s.Set("writeRequest", number(field(w, "request")), at)
		s.Set("writeKey", m.element("Key", field(w, "key")), at)
		s.Set("writeValue", m.element("Value", field(w, "value")), at)
	}
}

// newest is what the specification defines as Newest.
func (m *mapping) newest(s *eval.State) {
	s.Reset("newest")
	for v := 1; v <= s.Get("nextSeq"); v++ {
		if s.Get("committed", v) == 1 {
			s.Set("newest", v, s.Get("writeKey", v))
		}
	}
}

func (m *mapping) messages(s *eval.State, v tla.Value) {
	for _, sym := range m.universe.Theory.Messages() {
		s.Reset(sym.Name)
	}
	for _, x := range set(v) {
		kind, ok := field(x, "type").(tla.String)
		if !ok || message[string(kind)] == nil {
			fail("there are no messages like %s", x)
		}
		var args []int
		for _, f := range message[string(kind)] {
			if f == "nonce" {
				client, n := m.nonce(field(x, "nonce"))
				if client != args[0] {
					fail("another client's nonce: %s", x)
				}
				args = append(args, n)
				continue
			}
			args = append(args, m.part(f, field(x, f)))
		}
		if e := x.(tla.Record).Get("epoch"); e != nil && !tla.Equal(e, m.epoch) {
			fail("a message of another epoch: %s", x)
		}
		s.Set(string(kind), 1, args...)
	}
}

// message tells which fields of a message its relation has, in its order.
var message = map[string][]string{
	"OpenRequest":   {"client", "nonce"},
	"OpenResponse":  {"client", "nonce", "status", "session"},
	"ReadRequest":   {"client", "request", "key"},
	"Read":          {"replica", "client", "request", "key", "hops"},
	"ReadReply":     {"replica", "client", "request", "key", "hops", "version", "value", "writer"},
	"ReadResponse":  {"client", "request", "status", "value"},
	"WriteRequest":  {"client", "session", "request", "key", "value"},
	"Write":         {"replica", "client", "session", "request", "version", "key", "value"},
	"WriteAck":      {"replica", "client", "session", "request", "version"},
	"WriteResponse": {"client", "session", "request", "status"},
}

func (m *mapping) part(name string, v tla.Value) int {
	switch name {
	case "request", "hops":
		return number(v)
	case "version":
		return m.version(v)
	case "status":
		return m.word("Answer", v)
	case "client":
		return m.element("Client", v)
	case "replica":
		return m.element("Replica", v)
	case "session", "writer":
		return m.session(v)
	case "key":
		return m.element("Key", v)
	}
	return m.element("Value", v)
}
