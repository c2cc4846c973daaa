// SPDX-License-Identifier: Apache-2.0

// Package tla has the values of TLA+ as TLC knows them, reads them as TLC prints
// them, and prints them so that TLC can read them.
//
// Every value has one form. A function on strings is a Record and one on 1..n a
// Tuple, however it was written, and the empty function is the empty Tuple; the
// elements of sets, the fields of records and the pairs of functions are in
// order. So two values are equal if and only if they print the same, and
// v.String() can serve as the key of a map.
package tla

import (
	"cmp"
	"slices"
	"strings"
)

// Value is one of Bool, Int, String, Model, Tuple, Record, Function and Set.
// Values are not to be changed: parts of them are shared.
type Value interface {
	// String prints the value in TLA+, on one line.
	String() string
	appendTo(b []byte) []byte
	kind() int
}

// The kinds without parts.
type (
	// Bool is TRUE or FALSE.
	Bool bool
	// Int is an integer. TLC knows those of 32 bits.
	Int int64
	// String is a string, without its quotes.
	String string
	// Model is a model value, equal to itself alone.
	Model string
)

// The kinds with parts. They are made by NewTuple, NewRecord, NewFunction and
// NewSet, which give each value its one form.
type (
	// Tuple is a sequence: a function on 1..n, where Tuple[0] is the value at 1.
	Tuple []Value
	// Record is a function on strings, which need not be identifiers. Its fields
	// are in the order of their names, and there is at least one.
	Record []Field
	// Function is any other function. Its pairs are in the order of their keys.
	Function []Pair
	// Set is a finite set, in order and without repetition.
	Set []Value
)

// Field is a field of a record.
type Field struct {
	Name  string
	Value Value
}

// Pair is what a function maps one value to.
type Pair struct{ Key, Value Value }

// NewTuple returns <<values[0], ...>>.
func NewTuple(values ...Value) Tuple { return Tuple(values) }

// NewSet returns the set of the values, which may repeat. It keeps the slice.
func NewSet(values ...Value) Set {
	slices.SortFunc(values, Compare)
	return Set(slices.CompactFunc(values, Equal))
}

// NewRecord returns the record with these fields. Of two with one name the first
// counts, as in a :> 1 @@ a :> 2. Without any it is the empty tuple. It keeps
// the slice.
func NewRecord(fields ...Field) Value {
	if len(fields) == 0 {
		return Tuple(nil)
	}
	slices.SortStableFunc(fields, func(a, b Field) int { return cmp.Compare(a.Name, b.Name) })
	return Record(slices.CompactFunc(fields, func(a, b Field) bool { return a.Name == b.Name }))
}

// NewFunction returns the function with these pairs, a Tuple or Record if its
// domain is that of one. Of two pairs with one key the first counts. It keeps the
// slice.
func NewFunction(pairs ...Pair) Value {
	slices.SortStableFunc(pairs, func(a, b Pair) int { return Compare(a.Key, b.Key) })
	pairs = slices.CompactFunc(pairs, func(a, b Pair) bool { return Equal(a.Key, b.Key) })
	strings, sequence := true, true
	for i, p := range pairs {
		_, isString := p.Key.(String)
		strings = strings && isString
		n, isInt := p.Key.(Int)
		sequence = sequence && isInt && int(n) == i+1
	}
	switch {
	case sequence:
		t := make(Tuple, len(pairs))
		for i, p := range pairs {
			t[i] = p.Value
		}
		return t
	case strings:
		r := make(Record, len(pairs))
		for i, p := range pairs {
			r[i] = Field{string(p.Key.(String)), p.Value}
		}
		return r
	}
	return Function(pairs)
}

// Get returns the value of a field, or nil if there is no such field.
func (r Record) Get(name string) Value {
	i, found := slices.BinarySearchFunc(r, name, func(f Field, n string) int { return cmp.Compare(f.Name, n) })
	if !found {
		return nil
	}
	return r[i].Value
}

// With returns the record with a field set to a value, or added.
func (r Record) With(name string, v Value) Record {
	changed := append(slices.Clone(r), Field{name, v})
	slices.Reverse(changed)
	return NewRecord(changed...).(Record)
}

// Has says whether the set has this element.
func (s Set) Has(v Value) bool {
	_, found := slices.BinarySearchFunc([]Value(s), v, Compare)
	return found
}

// Union returns the union of the two sets.
func (s Set) Union(t Set) Set { return NewSet(append(slices.Clone(s), t...)...) }

// Apply returns f[key], or nil if f is no function or key is not in its domain.
func Apply(f, key Value) Value {
	switch f := f.(type) {
	case Tuple:
		if n, ok := key.(Int); ok && n >= 1 && int64(n) <= int64(len(f)) {
			return f[n-1]
		}
	case Record:
		if name, ok := key.(String); ok {
			return f.Get(string(name))
		}
	case Function:
		i, found := slices.BinarySearchFunc(f, key, func(p Pair, k Value) int { return Compare(p.Key, k) })
		if found {
			return f[i].Value
		}
	}
	return nil
}

// Except returns a function changed at one key of its domain: [f EXCEPT ![key] = v].
func Except(f, key, v Value) Value {
	pairs := Pairs(f)
	for i, p := range pairs {
		if Equal(p.Key, key) {
			pairs[i].Value = v
		}
	}
	return NewFunction(pairs...)
}

// Pairs returns the pairs of any function, or nil for what is none.
func Pairs(f Value) []Pair {
	var pairs []Pair
	switch f := f.(type) {
	case Tuple:
		for i, v := range f {
			pairs = append(pairs, Pair{Int(i + 1), v})
		}
	case Record:
		for _, field := range f {
			pairs = append(pairs, Pair{String(field.Name), field.Value})
		}
	case Function:
		pairs = slices.Clone(f)
	}
	return pairs
}

// Equal says whether two values are the same. Values of different kinds are not,
// where TLC would refuse to say.
func Equal(a, b Value) bool { return Compare(a, b) == 0 }

// Compare orders all values: by kind, and within a kind in the usual way, tuples,
// functions and sets element by element.
func Compare(a, b Value) int {
	if c := cmp.Compare(a.kind(), b.kind()); c != 0 {
		return c
	}
	switch a := a.(type) {
	case Bool:
		if a == b.(Bool) {
			return 0
		} else if !a {
			return -1
		}
		return 1
	case Int:
		return cmp.Compare(a, b.(Int))
	case String:
		return strings.Compare(string(a), string(b.(String)))
	case Model:
		return strings.Compare(string(a), string(b.(Model)))
	case Tuple:
		return slices.CompareFunc(a, b.(Tuple), Compare)
	case Set:
		return slices.CompareFunc(a, b.(Set), Compare)
	case Record:
		return slices.CompareFunc(a, b.(Record), func(f, g Field) int {
			return cmp.Or(strings.Compare(f.Name, g.Name), Compare(f.Value, g.Value))
		})
	default:
		return slices.CompareFunc(a.(Function), b.(Function), func(p, q Pair) int {
			return cmp.Or(Compare(p.Key, q.Key), Compare(p.Value, q.Value))
		})
	}
}

func (Bool) kind() int     { return 0 }
func (Int) kind() int      { return 1 }
func (String) kind() int   { return 2 }
func (Model) kind() int    { return 3 }
func (Tuple) kind() int    { return 4 }
func (Record) kind() int   { return 5 }
func (Function) kind() int { return 6 }
func (Set) kind() int      { return 7 }
