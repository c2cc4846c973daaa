// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"

	"dalio/traces/event"
)

// TestNames: each kind is told of under the name of its constant.
func TestNames(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "action.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]string{} // by text
	ast.Inspect(file, func(node ast.Node) bool {
		if value, ok := node.(*ast.ValueSpec); ok && len(value.Values) == 1 {
			if text, ok := value.Values[0].(*ast.BasicLit); ok {
				constants[text.Value] = value.Names[0].Name
			}
		}
		return true
	})
	for _, k := range Kinds() {
		if want := constants[`"`+string(k)+`"`]; k.Name() != want || want == "" {
			t.Errorf("%s is told of as %q, want %q", k, k.Name(), want)
		}
		if !slices.Contains(event.Steps, k.Name()) {
			t.Errorf("traces/event knows no step %s", k.Name())
		}
	}
}
