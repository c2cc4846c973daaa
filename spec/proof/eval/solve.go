// SPDX-License-Identifier: Apache-2.0

package eval

import (
	"dalio/spec/proof/logic"
)

// machine evaluates in a state and, for what is marked so, the one after it.
type machine struct {
	now, then *State
	sorts     []logic.Sort
	values    []int
	bound     []bool
}

// at is the machine of a system, to evaluate in a state. No variable has a value.
func (s *System) at(now *State) *machine {
	m := &s.machine
	for n := len(s.compiler.sorts); len(m.values) < n; {
		m.values, m.bound = append(m.values, 0), append(m.bound, false)
	}
	m.now, m.then, m.sorts = now, now, s.compiler.sorts
	return m
}

func (m *machine) state(n *node) *State {
	if n.next {
		return m.then
	}
	return m.now
}

// known tells whether all variables of n have values.
func (m *machine) known(n *node) bool {
	for _, v := range n.free {
		if !m.bound[v] {
			return false
		}
	}
	return true
}

// truth is the value of n, 1 or 0 for formulas. All variables have values.
func (m *machine) truth(n *node) bool { return m.value(n) != 0 }

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (m *machine) value(n *node) int {
	switch n.kind {
	case logic.KVar:
		return m.values[n.vars[0]]
	case logic.KInt, logic.KBool:
		return n.n
	case logic.KApp:
		var buffer [8]int
		args := buffer[:0]
		for _, a := range n.args {
			args = append(args, m.value(a))
		}
		s := m.state(n)
		if n.sort == logic.Bool {
			return number(s.holds(n.sym, args))
		}
		return s.value(n.sym, args)
	case logic.KEq:
		return number(m.value(n.args[0]) == m.value(n.args[1]))
	case logic.KNot:
		return 1 - m.value(n.args[0])
	case logic.KAnd, logic.KOr:
		stop := number(n.kind == logic.KOr)
		for _, a := range n.args {
			if m.value(a) == stop {
				return stop
			}
		}
		return 1 - stop
	case logic.KImplies:
		return number(!m.truth(n.args[0]) || m.truth(n.args[1]))
	case logic.KIte:
		if m.truth(n.args[0]) {
			return m.value(n.args[1])
		}
		return m.value(n.args[2])
	case logic.KLess:
		return number(m.value(n.args[0]) < m.value(n.args[1]))
	case logic.KAtMost:
		return number(m.value(n.args[0]) <= m.value(n.args[1]))
	case logic.KAdd:
		return m.value(n.args[0]) + m.value(n.args[1])
	case logic.KExists:
		return number(m.find([]goal{{n.args[0], true}}, n.vars, func() bool { return true }))
	case logic.KForall:
		return number(!m.find([]goal{{n.args[0], false}}, n.vars, func() bool { return true }))
	}
	panic("unknown kind of expression")
}

// goal is that n is true, or false.
type goal struct {
	n    *node
	want bool
}

// find calls visit for values of vars that meet all goals, until it returns
// true; then find does. It may visit the same values more than once, and looks at no more values than it must: relations are
// walked, equalities solved, and only what is left is tried element by element.
func (m *machine) find(goals []goal, vars []int, visit func() bool) bool {
	goals, ok := m.simplify(goals)
	if !ok {
		return false
	}
	if i, v, term := m.equation(goals); i >= 0 {
		m.values[v], m.bound[v] = m.value(term), true
		defer func() { m.bound[v] = false }()
		return m.inDomain(v) && m.find(without(goals, i), vars, visit)
	}
	if i := m.relation(goals); i >= 0 {
		return m.walk(goals[i].n, func() bool { return m.find(without(goals, i), vars, visit) })
	}
	if i := choice(goals); i >= 0 {
		for _, branch := range branches(goals[i]) {
			if m.find(append(without(goals, i), branch...), vars, visit) {
				return true
			}
		}
		return false
	}
	v := -1
	for _, g := range goals {
		for _, w := range g.n.free {
			if !m.bound[w] && (v < 0 || m.now.Size(m.sorts[w]) < m.now.Size(m.sorts[v])) {
				v = w
			}
		}
	}
	for _, w := range vars {
		if v < 0 && !m.bound[w] {
			v = w
		}
	}
	if v < 0 {
		return visit()
	}
	m.bound[v] = true
	defer func() { m.bound[v] = false }()
	for m.values[v] = 0; m.values[v] < m.now.Size(m.sorts[v]); m.values[v]++ {
		at := m.values[v]
		if m.find(goals, vars, visit) {
			return true
		}
		m.values[v] = at
	}
	return false
}

func (m *machine) inDomain(v int) bool {
	return m.values[v] >= 0 && m.values[v] < m.now.Size(m.sorts[v])
}

func without(goals []goal, i int) []goal {
	out := make([]goal, 0, len(goals)+2)
	return append(append(out, goals[:i]...), goals[i+1:]...)
}

// simplify drops the goals that are met, takes conjunctions apart, and tells
// whether no goal is missed already.
func (m *machine) simplify(goals []goal) ([]goal, bool) {
	out := make([]goal, 0, len(goals)+4)
	var add func(goal) bool
	add = func(g goal) bool {
		n := g.n
		switch {
		case m.known(n):
			return m.truth(n) == g.want
		case n.kind == logic.KNot:
			return add(goal{n.args[0], !g.want})
		case n.kind == logic.KAnd && g.want, n.kind == logic.KOr && !g.want:
			for _, a := range n.args {
				if !add(goal{a, g.want}) {
					return false
				}
			}
			return true
		case n.kind == logic.KImplies && !g.want:
			return add(goal{n.args[0], true}) && add(goal{n.args[1], false})
		case n.kind == logic.KExists && g.want, n.kind == logic.KForall && !g.want:
			return add(goal{n.args[0], g.want})
		}
		out = append(out, g)
		return true
	}
	for _, g := range goals {
		if !add(g) {
			return nil, false
		}
	}
	return out, true
}

// equation finds a goal that gives a variable its value.
func (m *machine) equation(goals []goal) (at, v int, term *node) {
	for i, g := range goals {
		if g.n.kind != logic.KEq || !g.want {
			if g.n.kind == logic.KVar && !m.bound[g.n.vars[0]] {
				return i, g.n.vars[0], &node{kind: logic.KBool, n: number(g.want)}
			}
			continue
		}
		for j, a := range g.n.args {
			if a.kind == logic.KVar && !m.bound[a.vars[0]] && m.known(g.n.args[1-j]) {
				return i, a.vars[0], g.n.args[1-j]
			}
		}
	}
	return -1, 0, nil
}

// relation finds a goal that a relation has a tuple, of which there are fewest.
func (m *machine) relation(goals []goal) int {
	best, size := -1, 0
	for i, g := range goals {
		if g.n.kind != logic.KApp || !g.want || len(g.n.args) == 0 {
			continue
		}
		fits := true
		for _, a := range g.n.args {
			fits = fits && (a.kind == logic.KVar || m.known(a))
		}
		if n := len(m.state(g.n).relations[g.n.sym]); fits && (best < 0 || n < size) {
			best, size = i, n
		}
	}
	return best
}

// walk visits the tuples of a relation that agree with what is known.
func (m *machine) walk(n *node, visit func() bool) bool {
	for _, k := range m.state(n).relations[n.sym] {
		var set []int
		fits := true
		for i := len(n.args) - 1; i >= 0 && fits; i-- {
			a, value := n.args[i], int(k&(1<<bits-1))
			k >>= bits
			if a.kind == logic.KVar && !m.bound[a.vars[0]] {
				v := a.vars[0]
				m.values[v], m.bound[v] = value, true
				set = append(set, v)
				continue
			}
			fits = m.value(a) == value
		}
		stop := fits && visit()
		for _, v := range set {
			m.bound[v] = false
		}
		if stop {
			return true
		}
	}
	return false
}

// choice finds a goal that can be met in more than one way.
func choice(goals []goal) int {
	for i, g := range goals {
		switch k := g.n.kind; {
		case k == logic.KOr || k == logic.KImplies, k == logic.KAnd && !g.want, k == logic.KIte,
			k == logic.KEq && g.n.args[0].sort == logic.Bool:
			return i
		}
	}
	return -1
}

func branches(g goal) [][]goal {
	a := g.n.args
	switch g.n.kind {
	case logic.KImplies:
		return [][]goal{{{a[0], false}}, {{a[1], true}}}
	case logic.KIte:
		return [][]goal{{{a[0], true}, {a[1], g.want}}, {{a[0], false}, {a[2], g.want}}}
	case logic.KEq:
		return [][]goal{{{a[0], true}, {a[1], g.want}}, {{a[0], false}, {a[1], !g.want}}}
	}
	var out [][]goal
	for _, b := range a {
		out = append(out, []goal{{b, g.want}})
	}
	return out
}
