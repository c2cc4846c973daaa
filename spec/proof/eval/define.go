// SPDX-License-Identifier: Apache-2.0

package eval

import "dalio/spec/proof/logic"

// Defined is the value that what the theory defines by a name has in a state: of
// a formula, 1 where it is true. The last of args may be the value that a term is
// compared with: then it is 1 where they are equal.
func (s *System) Defined(at *State, name string, args ...int) int {
	d := s.defined[name]
	if d == nil {
		vars, body := s.Theory.Definition(name)
		d = &definition{}
		scope := map[*logic.Var]int{}
		for _, v := range vars {
			scope[v] = s.compiler.variable(v)
			d.params = append(d.params, scope[v])
		}
		d.body = s.compiler.compile(body, scope)
		s.defined[name] = d
	}
	m := s.at(at)
	for i, v := range d.params {
		m.values[v], m.bound[v] = args[i], true
	}
	got := m.value(d.body)
	for _, v := range d.params {
		m.bound[v] = false
	}
	if len(args) > len(d.params) {
		return number(got == args[len(args)-1])
	}
	return got
}

type definition struct {
	params []int
	body   *node
}
