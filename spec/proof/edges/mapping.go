// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"fmt"

	"dalio/spec/proof/eval"
	"dalio/spec/proof/logic"
	"dalio/spec/tla"
)

// mapping tells which state of a theory a state of its specification is.
type mapping struct {
	universe *eval.Universe
	base     *eval.State // with the constants of the model
	epoch    tla.Value   // the only one of Dalio.tla
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

// newMapping makes the universe of a model from the elements of its sorts and the
// largest integer. All cures are kept.
func newMapping(t *logic.Theory, most int, universe map[logic.Sort][]string) *mapping {
	m := &mapping{elements: map[logic.Sort]map[string]int{}}
	for s, names := range universe {
		m.elements[s] = map[string]int{}
		for i, n := range names {
			m.elements[s][n] = i
		}
		m.elements[s]["None"] = 0 // never met where the sort has no such element
	}
	u, err := eval.NewUniverse(t, universe, most)
	if err != nil {
		panic(problem{err})
	}
	m.universe, m.base = u, eval.NewState(u)
	for _, s := range t.Symbols {
		if s.Role == logic.Cure {
			m.base.Set(s.Name, 1)
		}
	}
	return m
}

// element is the number of an element of the specification; that of none is 0.
func (m *mapping) element(s logic.Sort, v tla.Value) int {
	i, ok := m.elements[s][v.String()]
	if !ok {
		fail("%s is no %s", v, s)
	}
	return i
}

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

// each visits what f maps the elements of a sort to.
func (m *mapping) each(sort logic.Sort, f tla.Value, visit func(at int, v tla.Value)) {
	switch f := f.(type) {
	case tla.Record:
		for _, p := range f {
			visit(m.element(sort, tla.String(p.Name)), p.Value)
		}
	case tla.Function:
		for _, p := range f {
			visit(m.element(sort, p.Key), p.Value)
		}
	default:
		fail("%s is no function", f)
	}
}
