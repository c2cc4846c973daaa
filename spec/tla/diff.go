// SPDX-License-Identifier: Apache-2.0

package tla

import (
	"fmt"
	"slices"
)

// Diff tells how got differs from want, a line for each part that does, named by
// its path, such as entries[s1].acks. Equal values give none.
func Diff(got, want Value) []string { return diff("", got, want) }

func diff(path string, got, want Value) []string {
	if Equal(got, want) {
		return nil
	}
	gotSet, isSet := got.(Set)
	if wantSet, ok := want.(Set); ok && isSet {
		return diffSets(path, gotSet, wantSet)
	}
	keys := domain(got)
	if keys == nil || got.kind() != want.kind() || !slices.EqualFunc(keys, domain(want), Equal) {
		if path == "" {
			path = "all"
		}
		return []string{fmt.Sprintf("%s is %s, and should be %s", path, got, want)}
	}
	var lines []string
	for _, key := range keys {
		part := path + "[" + key.String() + "]"
		if name, ok := key.(String); ok && isIdentifier(string(name)) {
			part = path + "." + string(name)
			if path == "" {
				part = string(name)
			}
		}
		lines = append(lines, diff(part, Apply(got, key), Apply(want, key))...)
	}
	return lines
}

func diffSets(path string, got, want Set) []string {
	var lines []string
	for _, v := range got {
		if !want.Has(v) {
			lines = append(lines, fmt.Sprintf("%s has %s, and should not", path, v))
		}
	}
	for _, v := range want {
		if !got.Has(v) {
			lines = append(lines, fmt.Sprintf("%s lacks %s", path, v))
		}
	}
	return lines
}

// domain returns the keys of a function that is not empty.
func domain(f Value) []Value {
	var keys []Value
	for _, p := range Pairs(f) {
		keys = append(keys, p.Key)
	}
	return keys
}
