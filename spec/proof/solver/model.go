// SPDX-License-Identifier: Apache-2.0

package solver

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"dalio/spec/proof/eval"
	"dalio/spec/proof/logic"
)

// function is what a model defines by a name.
type function struct {
	params []string
	body   sexpr
}

// interpretation evaluates what a model defines.
type interpretation struct {
	functions map[string]function
	elements  map[string]int // of all sorts: their numbers
}

// readModel makes a state of a model, and gives the arguments of the action's
// parameters in it. Integers range up to most.
func readModel(t *logic.Theory, text string, params []*logic.Var, off map[string]bool, most int) (*eval.State, []int, error) {
	root, err := parseModel(text)
	if err != nil {
		return nil, nil, err
	}
	in := &interpretation{functions: map[string]function{}, elements: map[string]int{}}
	universe := map[logic.Sort][]string{}
	for _, e := range root.list {
		switch {
		case e.head() == "declare-fun" && len(e.list) == 4 && len(e.list[2].list) == 0:
			s := logic.Sort(e.list[3].atom)
			universe[s] = append(universe[s], e.list[1].atom)
		case e.head() == "define-fun" && len(e.list) == 5:
			f := function{body: e.list[4]}
			for _, p := range e.list[2].list {
				f.params = append(f.params, p.list[0].atom)
			}
			in.functions[e.list[1].atom] = f
		}
	}
	names := map[logic.Sort][]string{}
	for _, s := range t.Sorts {
		names[s] = in.order(t, s, universe[s])
		if len(names[s]) == 0 { // the model needs none, but there is no empty sort
			names[s] = []string{strings.ToLower(string(s[:1])) + "0"}
		}
	}
	for _, list := range t.Enums {
		for i, n := range list {
			in.elements[n] = i
		}
	}
	u, err := eval.NewUniverse(t, names, most)
	if err != nil {
		return nil, nil, err
	}
	state := eval.NewState(u)
	for _, sym := range t.Symbols {
		if sym.Role == logic.Cure {
			state.Set(sym.Name, value(!off[sym.Name]))
			continue
		}
		if sym.Role == logic.Element {
			continue
		}
		if err := in.fill(state, sym); err != nil {
			return nil, nil, err
		}
	}
	var args []int
	for _, v := range params {
		n, err := in.call(v.Name, nil)
		if err != nil {
			return nil, nil, err
		}
		args = append(args, n)
	}
	return state, args, nil
}

func value(b bool) int {
	if b {
		return 1
	}
	return 0
}

// order numbers the elements of a sort, the one that stands for none first, and
// gives them names to read.
func (in *interpretation) order(t *logic.Theory, s logic.Sort, elements []string) []string {
	sort.Strings(elements)
	var names []string
	for _, sym := range t.Symbols {
		if f, ok := in.functions[sym.Name]; ok && sym.Sort == s && sym.Role == logic.Element {
			in.elements[f.body.atom] = len(names)
			names = append(names, sym.Name)
		}
	}
	for _, e := range elements {
		if _, ok := in.elements[e]; !ok {
			in.elements[e] = len(names)
			names = append(names, fmt.Sprintf("%s%d", strings.ToLower(string(s[:1])), len(names)))
		}
	}
	return names
}

// fill gives sym its values in the state.
func (in *interpretation) fill(state *eval.State, sym *logic.Symbol) error {
	if _, ok := in.functions[sym.Name]; !ok {
		return nil // the model does not need it: any value will do
	}
	args := make([]int, len(sym.Args))
	var each func(i int) error
	each = func(i int) error {
		if i < len(args) {
			for args[i] = 0; args[i] < state.Size(sym.Args[i]); args[i]++ {
				if err := each(i + 1); err != nil {
					return err
				}
			}
			return nil
		}
		n, err := in.call(sym.Name, args)
		if err != nil {
			return err
		}
		if n < 0 || n >= state.Size(sym.Sort) {
			return fmt.Errorf("%s is %d in the model, which is out of bounds", sym.Name, n)
		}
		if n != 0 || sym.Sort != logic.Bool {
			state.Set(sym.Name, n, args...)
		}
		return nil
	}
	return each(0)
}

func (in *interpretation) call(name string, args []int) (int, error) {
	f, ok := in.functions[name]
	if !ok {
		return 0, nil
	}
	if len(f.params) != len(args) {
		return 0, fmt.Errorf("%s has %d arguments in the model, not %d", name, len(f.params), len(args))
	}
	scope := map[string]int{}
	for i, p := range f.params {
		scope[p] = args[i]
	}
	return in.eval(f.body, scope)
}

func (in *interpretation) eval(e sexpr, scope map[string]int) (int, error) {
	if e.list == nil {
		if v, ok := scope[e.atom]; ok {
			return v, nil
		}
		if v, ok := in.elements[e.atom]; ok {
			return v, nil
		}
		switch e.atom {
		case "true":
			return 1, nil
		case "false":
			return 0, nil
		}
		if n, err := strconv.Atoi(e.atom); err == nil {
			return n, nil
		}
		return in.call(e.atom, nil)
	}
	if e.head() == "let" {
		inner := map[string]int{}
		for k, v := range scope {
			inner[k] = v
		}
		for _, b := range e.list[1].list {
			v, err := in.eval(b.list[1], scope)
			if err != nil {
				return 0, err
			}
			inner[b.list[0].atom] = v
		}
		return in.eval(e.list[2], inner)
	}
	if e.head() == "ite" {
		cond, err := in.eval(e.list[1], scope)
		if err != nil {
			return 0, err
		}
		return in.eval(e.list[3-cond], scope)
	}
	var args []int
	for _, a := range e.list[1:] {
		v, err := in.eval(a, scope)
		if err != nil {
			return 0, err
		}
		args = append(args, v)
	}
	if op, ok := operators[e.head()]; ok {
		return op(args), nil
	}
	if _, ok := in.functions[e.head()]; !ok {
		return 0, fmt.Errorf("the model uses %q, which is not known here", e.head())
	}
	return in.call(e.head(), args)
}

var operators = map[string]func([]int) int{
	"and": func(a []int) int { return value(!slices.Contains(a, 0)) },
	"or":  func(a []int) int { return value(slices.Contains(a, 1)) },
	"not": func(a []int) int { return 1 - a[0] },
	"=>":  func(a []int) int { return value(a[0] == 0 || a[1] == 1) },
	"=":   func(a []int) int { return value(a[0] == a[1]) },
	"<=":  func(a []int) int { return value(a[0] <= a[1]) },
	"<":   func(a []int) int { return value(a[0] < a[1]) },
	">=":  func(a []int) int { return value(a[0] >= a[1]) },
	">":   func(a []int) int { return value(a[0] > a[1]) },
	"+": func(a []int) int {
		sum := 0
		for _, n := range a {
			sum += n
		}
		return sum
	},
	"*": func(a []int) int { return a[0] * a[1] },
	"-": func(a []int) int {
		if len(a) == 1 {
			return -a[0]
		}
		return a[0] - a[1]
	},
}
