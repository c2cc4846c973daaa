// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

// FuzzSource reads any text as a C file: each line has its text, and belongs to one
// function or none.
func FuzzSource(f *testing.F) {
	f.Add("static int f(int x)\n{\n\treturn x;\n}\n\nint g(void)\n{\n}\n")
	f.Add("#define X(a) a\nint f(\n{\n{\n}\n}")
	f.Fuzz(func(t *testing.T, text string) {
		s := parseSource(text)
		if strings.Join(s.lines, "\n") != text || len(s.functions) != len(s.lines) {
			t.Fatalf("%q is read as %d lines of %d functions", text, len(s.lines), len(s.functions))
		}
		for n := range len(s.lines) + 2 {
			all := sources{"f.c": s}
			if name := all.function(place{"f.c", n}); name != "(none)" && !strings.Contains(text, name+"(") {
				t.Errorf("line %d of %q is in function %q", n, text, name)
			}
		}
	})
}
