// SPDX-License-Identifier: Apache-2.0

package eval

import (
	"slices"

	"dalio/spec/proof/logic"
)

// node is an expression whose variables and symbols have become numbers. Every
// quantifier has variables of its own.
type node struct {
	kind logic.Kind
	sort logic.Sort
	args []*node
	vars []int // of a quantifier; of a variable, itself
	free []int // the variables that are free in it
	sym  int
	next bool
	n    int
}

// compiler numbers variables.
type compiler struct {
	u     *Universe
	sorts []logic.Sort // of the variables
}

func (c *compiler) variable(v *logic.Var) int {
	c.sorts = append(c.sorts, v.Sort)
	return len(c.sorts) - 1
}

func (c *compiler) compile(e *logic.Expr, scope map[*logic.Var]int) *node {
	n := &node{kind: e.Kind, sort: e.Sort, n: e.N, next: e.Next}
	switch e.Kind {
	case logic.KVar:
		n.vars = []int{scope[e.Var]}
		n.free = n.vars
		return n
	case logic.KApp:
		n.sym = c.u.index[e.Sym]
	case logic.KForall, logic.KExists:
		inner := make(map[*logic.Var]int, len(scope)+len(e.Vars))
		for v, i := range scope {
			inner[v] = i
		}
		for _, v := range e.Vars {
			i := c.variable(v)
			inner[v] = i
			n.vars = append(n.vars, i)
		}
		scope = inner
	}
	for _, a := range e.Args {
		n.args = append(n.args, c.compile(a, scope))
	}
	for _, a := range n.args {
		for _, v := range a.free {
			if !slices.Contains(n.free, v) && !slices.Contains(n.vars, v) {
				n.free = append(n.free, v)
			}
		}
	}
	return n
}
