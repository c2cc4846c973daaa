// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"
)

// stepsOfTheCode returns the kinds of steps of the control plane, by the names of
// their constants, but for the one that does nothing.
func stepsOfTheCode(t *testing.T) []string {
	t.Helper()
	path := filepath.Join("..", "..", "impl", "coordinator", "membership", "action.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	ast.Inspect(file, func(node ast.Node) bool {
		if value, ok := node.(*ast.ValueSpec); ok {
			if kind, ok := value.Type.(*ast.Ident); ok && kind.Name == "Kind" && value.Names[0].Name != "Wait" {
				steps = append(steps, value.Names[0].Name)
			}
		}
		return true
	})
	if len(steps) == 0 {
		t.Fatalf("%s has no constants of type Kind", path)
	}
	return steps
}

// stepsOfTheSpecification returns the actions that a control plane of Shard.tla
// takes.
func stepsOfTheSpecification(t *testing.T) []string {
	t.Helper()
	sources, err := readModules("..")
	if err != nil {
		t.Fatal(err)
	}
	steps, err := sources.actions("Shard", "ControlStep")
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// The table of steps leads from every step of the control plane in the code to what
// it is in the specification, and back.
func TestStepsOfTheControlPlane(t *testing.T) {
	var code, specification []string
	for _, row := range readmeTable(t, "step of the control plane |") {
		for _, name := range names(row[0]) {
			if name != "–" {
				code = append(code, name)
			}
		}
		for _, name := range names(row[1]) {
			if name != "–" {
				specification = append(specification, name)
			}
		}
	}
	for _, c := range []struct {
		what       string
		told, want []string
	}{
		{"impl/coordinator/membership/action.go", code, stepsOfTheCode(t)},
		{"ControlStep of Shard.tla", specification, stepsOfTheSpecification(t)},
	} {
		slices.Sort(c.told)
		slices.Sort(c.want)
		if !slices.Equal(c.told, c.want) {
			t.Errorf("README.md has the steps %v, %s has %v", c.told, c.what, c.want)
		}
	}
}
