// SPDX-License-Identifier: Apache-2.0

// Package eval evaluates the formulas of a theory in states with finitely many
// elements, takes its steps there, and so tells whether they are those of the
// specification.
package eval

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"dalio/spec/proof/logic"
)

// Universe has the elements of every sort. Integers range from 0 to Max; what
// quantifies over them looks no further, so Max must be larger than any in use.
type Universe struct {
	Theory *logic.Theory
	Names  map[logic.Sort][]string
	Max    int

	index map[*logic.Symbol]int
	sizes [][]int // of the sorts of each symbol's arguments
}

// bits of an argument in the key of a tuple.
const bits = 6

// NewUniverse checks that the elements can be told apart in the keys of tuples.
func NewUniverse(t *logic.Theory, names map[logic.Sort][]string, max int) (*Universe, error) {
	u := &Universe{Theory: t, Names: map[logic.Sort][]string{logic.Bool: {"false", "true"}}, Max: max, index: map[*logic.Symbol]int{}}
	for s, list := range names {
		u.Names[s] = list
	}
	for s, list := range t.Enums {
		u.Names[s] = list
	}
	for s, list := range u.Names {
		if len(list) == 0 || len(list) > 1<<bits {
			return nil, fmt.Errorf("sort %s has %d elements, not 1 to %d", s, len(list), 1<<bits)
		}
	}
	if max >= 1<<bits {
		return nil, fmt.Errorf("integers up to %d are more than %d", max, 1<<bits-1)
	}
	for i, s := range t.Symbols {
		u.index[s] = i
		var sizes []int
		for _, a := range s.Args {
			sizes = append(sizes, u.Size(a))
		}
		u.sizes = append(u.sizes, sizes)
	}
	return u, nil
}

// Size is the number of elements of a sort.
func (u *Universe) Size(s logic.Sort) int {
	if s == logic.Int {
		return u.Max + 1
	}
	return len(u.Names[s])
}

// Element is the number of the element of sort s that is called name.
func (u *Universe) Element(s logic.Sort, name string) (int, error) {
	if i := slices.Index(u.Names[s], name); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("sort %s has no element %s", s, name)
}

// State interprets every symbol. Relations are sorted lists of tuples, functions
// lists of values by their arguments; a state shares what it does not change.
type State struct {
	*Universe
	relations [][]uint64
	functions [][]int32
}

// NewState is the state in which every relation is empty and every value 0: the
// first element of its sort. Elements are themselves.
func NewState(u *Universe) *State {
	s := &State{Universe: u, relations: make([][]uint64, len(u.Theory.Symbols)), functions: make([][]int32, len(u.Theory.Symbols))}
	for i, sym := range u.Theory.Symbols {
		if sym.Sort == logic.Bool {
			continue
		}
		n := 1
		for _, a := range sym.Args {
			n *= u.Size(a)
		}
		s.functions[i] = make([]int32, n)
		if sym.Role == logic.Element {
			s.functions[i][0] = int32(max(0, slices.Index(u.Names[sym.Sort], sym.Name)))
		}
	}
	return s
}

// Set has sym be value at args; of a relation, 1 is true.
func (s *State) Set(name string, value int, args ...int) {
	sym := s.Theory.Symbol(name)
	i := s.index[sym]
	if sym.Sort != logic.Bool {
		s.functions[i][s.place(i, args)] = int32(value)
		return
	}
	k := key(args)
	at, found := slices.BinarySearch(s.relations[i], k)
	if found != (value != 0) {
		if found {
			s.relations[i] = slices.Delete(s.relations[i], at, at+1)
		} else {
			s.relations[i] = slices.Insert(s.relations[i], at, k)
		}
	}
}

// Clone is a copy that can be changed by itself.
func (s *State) Clone() *State {
	c := s.Fork()
	for i := range c.relations {
		c.relations[i] = slices.Clone(c.relations[i])
		c.functions[i] = slices.Clone(c.functions[i])
	}
	return c
}

// place is where a function keeps its value at args, or -1 where one is no
// integer of the universe.
func (s *State) place(sym int, args []int) int {
	at := 0
	for i, n := range s.sizes[sym] {
		a := args[i]
		if a < 0 || a >= n {
			return -1
		}
		at = at*n + a
	}
	return at
}

func (s *State) holds(i int, args []int) bool {
	for _, a := range args {
		if a < 0 || a >= 1<<bits {
			return false
		}
	}
	_, found := slices.BinarySearch(s.relations[i], key(args))
	return found
}

func (s *State) value(i int, args []int) int {
	at := s.place(i, args)
	if at < 0 {
		return 0
	}
	return int(s.functions[i][at])
}

func key(args []int) uint64 {
	var k uint64
	for _, a := range args {
		k = k<<bits | uint64(a)
	}
	return k
}

func unkey(k uint64, n int) []int {
	args := make([]int, n)
	for i := n - 1; i >= 0; i-- {
		args[i] = int(k & (1<<bits - 1))
		k >>= bits
	}
	return args
}

// Differs is the names of the symbols that are not the same in both states.
func (s *State) Differs(t *State) []string {
	var out []string
	for i, sym := range s.Theory.Symbols {
		if !slices.Equal(s.relations[i], t.relations[i]) || !slices.Equal(s.functions[i], t.functions[i]) {
			out = append(out, sym.Name)
		}
	}
	return out
}

// Key tells states of one universe apart.
func (s *State) Key() string {
	var b []byte
	for i, sym := range s.Theory.Symbols {
		if !sym.Changes() {
			continue
		}
		for _, k := range s.relations[i] {
			b = append(b, byte(k), byte(k>>8), byte(k>>16), byte(k>>24), byte(k>>32), byte(k>>40), byte(k>>48))
		}
		b = append(b, 0xff, byte(i))
		for _, v := range s.functions[i] {
			b = append(b, byte(v))
		}
	}
	return string(b)
}

// String tells of the state what is not false, 0 or none, a symbol to a line.
func (s *State) String() string {
	var lines []string
	for _, sym := range s.Theory.Symbols {
		if sym.Role == logic.Element || sym.Role == logic.Cure {
			continue
		}
		if facts := s.facts(sym); len(facts) > 0 {
			lines = append(lines, strings.Join(facts, ", "))
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// Line tells the same of one symbol.
func (s *State) Line(name string) string {
	if facts := s.facts(s.Theory.Symbol(name)); len(facts) > 0 {
		return strings.Join(facts, ", ")
	}
	return "nothing of " + name
}

func (s *State) facts(sym *logic.Symbol) []string {
	i := s.index[sym]
	var facts []string
	for _, k := range s.relations[i] {
		facts = append(facts, s.fact(sym, unkey(k, len(sym.Args)), -1))
	}
	for at, v := range s.functions[i] {
		if v == 0 {
			continue
		}
		args := make([]int, len(sym.Args))
		for j, rest := len(args)-1, at; j >= 0; j-- {
			args[j] = rest % s.Size(sym.Args[j])
			rest /= s.Size(sym.Args[j])
		}
		facts = append(facts, s.fact(sym, args, int(v)))
	}
	return facts
}

func (s *State) fact(sym *logic.Symbol, args []int, value int) string {
	out := sym.Name
	if len(args) > 0 {
		parts := make([]string, len(args))
		for i, a := range args {
			parts[i] = s.name(sym.Args[i], a)
		}
		out += "(" + strings.Join(parts, ", ") + ")"
	}
	if value >= 0 {
		out += " = " + s.name(sym.Sort, value)
	}
	return out
}

func (s *State) name(sort logic.Sort, value int) string {
	if sort == logic.Int {
		return fmt.Sprint(value)
	}
	return s.Names[sort][value]
}

// Fork is a copy that shares everything with s: what is Reset in it, and only
// that, may be Set.
func (s *State) Fork() *State {
	return &State{Universe: s.Universe, relations: slices.Clone(s.relations), functions: slices.Clone(s.functions)}
}

// Reset empties a relation, or makes every value of a function 0.
func (s *State) Reset(names ...string) {
	for _, name := range names {
		i := s.index[s.Theory.Symbol(name)]
		s.relations[i] = nil
		if s.functions[i] != nil {
			s.functions[i] = make([]int32, len(s.functions[i]))
		}
	}
}

// Get is the value of a symbol at args; of a relation, 1 is true.
func (s *State) Get(name string, args ...int) int {
	i := s.index[s.Theory.Symbol(name)]
	if s.Theory.Symbols[i].Sort == logic.Bool {
		return number(s.holds(i, args))
	}
	return s.value(i, args)
}
