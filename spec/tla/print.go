// SPDX-License-Identifier: Apache-2.0

package tla

import "strconv"

func (b Bool) String() string     { return string(b.appendTo(nil)) }
func (i Int) String() string      { return string(i.appendTo(nil)) }
func (s String) String() string   { return string(s.appendTo(nil)) }
func (m Model) String() string    { return string(m) }
func (t Tuple) String() string    { return string(t.appendTo(nil)) }
func (r Record) String() string   { return string(r.appendTo(nil)) }
func (f Function) String() string { return string(f.appendTo(nil)) }
func (s Set) String() string      { return string(s.appendTo(nil)) }

func (b Bool) appendTo(out []byte) []byte {
	if b {
		return append(out, "TRUE"...)
	}
	return append(out, "FALSE"...)
}

func (i Int) appendTo(out []byte) []byte { return strconv.AppendInt(out, int64(i), 10) }

func (m Model) appendTo(out []byte) []byte { return append(out, m...) }

// escapes of TLA+, by the character that each stands for.
var escapes = map[byte]byte{'"': '"', '\\': '\\', '\t': 't', '\n': 'n', '\f': 'f', '\r': 'r'}

func (s String) appendTo(out []byte) []byte {
	out = append(out, '"')
	for i := range len(s) {
		if escape, special := escapes[s[i]]; special {
			out = append(out, '\\', escape)
		} else {
			out = append(out, s[i])
		}
	}
	return append(out, '"')
}

func (t Tuple) appendTo(out []byte) []byte { return appendAll(out, "<<", t, ">>") }

func (s Set) appendTo(out []byte) []byte { return appendAll(out, "{", s, "}") }

func appendAll(out []byte, open string, values []Value, closing string) []byte {
	out = append(out, open...)
	for i, v := range values {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = v.appendTo(out)
	}
	return append(out, closing...)
}

// As in TLC, a record some of whose names are no identifiers is printed like any
// other function.
func (r Record) appendTo(out []byte) []byte {
	for _, f := range r {
		if !isIdentifier(f.Name) {
			return Function(Pairs(r)).appendTo(out)
		}
	}
	out = append(out, '[')
	for i, f := range r {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = append(append(out, f.Name...), " |-> "...)
		out = f.Value.appendTo(out)
	}
	return append(out, ']')
}

func (f Function) appendTo(out []byte) []byte {
	out = append(out, '(')
	for i, p := range f {
		if i > 0 {
			out = append(out, " @@ "...)
		}
		out = append(p.Key.appendTo(out), " :> "...)
		out = p.Value.appendTo(out)
	}
	return append(out, ')')
}
