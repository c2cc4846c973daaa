// SPDX-License-Identifier: Apache-2.0

package edn

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
)

// nested reads the next form inside another one.
func (d *Decoder) nested(depth int) (Form, error) {
	c, err := d.skip(depth)
	if errors.Is(err, io.EOF) {
		return Form{}, d.errorf("the input ends inside a form: the recording was cut off")
	}
	if err != nil {
		return Form{}, err
	}
	return d.form(c, depth)
}

// form reads the form that starts with c.
func (d *Decoder) form(c rune, depth int) (Form, error) {
	if depth > MaxDepth {
		return Form{}, d.errorf("forms are nested more than %d deep", MaxDepth)
	}
	switch c {
	case '{':
		return d.collection(Map, '}', depth)
	case '[', '(':
		return d.collection(Vector, closing(c), depth)
	case '"':
		return d.text()
	case '\\':
		return d.char()
	case '#':
		return d.dispatch(depth)
	case '}', ']', ')':
		return Form{}, d.errorf("%q closes nothing", c)
	}
	return d.atom(c)
}

func (d *Decoder) collection(kind Kind, end rune, depth int) (Form, error) {
	f := Form{Kind: kind, Line: d.line}
	for {
		c, err := d.skip(depth)
		if errors.Is(err, io.EOF) {
			return Form{}, d.errorf("the input ends before the closing %q: the recording was cut off", end)
		}
		if err != nil {
			return Form{}, err
		}
		if c == end {
			if kind == Map && len(f.Items)%2 != 0 {
				return Form{}, d.errorf("a map has a key without a value")
			}
			return f, nil
		}
		item, err := d.form(c, depth+1)
		if err != nil {
			return Form{}, err
		}
		f.Items = append(f.Items, item)
	}
}

// dispatch reads what follows a #: a set, a tagged form or a special number.
func (d *Decoder) dispatch(depth int) (Form, error) {
	line := d.line
	c, err := d.must()
	if err != nil {
		return Form{}, err
	}
	switch c {
	case '{':
		return d.collection(Set, '}', depth)
	case '"': // A regular expression, kept as its text.
		return d.text()
	case '#':
		f, err := d.atom('#')
		if err == nil && f.Text == "#" {
			err = d.errorf("## must be followed by the name of a number")
		}
		f.Text = "#" + f.Text
		return f, err
	case '<', '(', '\'', '=':
		return Form{}, d.errorf("#%c is not EDN: something was printed that cannot be read back", c)
	}
	if space(c) || strings.ContainsRune(delimiters, c) {
		return Form{}, d.errorf("# must be followed by a tag")
	}
	tag, err := d.atom(c)
	if err != nil {
		return Form{}, err
	}
	item, err := d.nested(depth + 1)
	if err != nil {
		return Form{}, err
	}
	return Form{Kind: Tagged, Text: tag.Text, Items: []Form{item}, Line: line}, nil
}

// atom reads a symbol, keyword or number that starts with c.
func (d *Decoder) atom(c rune) (Form, error) {
	f := Form{Line: d.line}
	rest, err := d.token()
	if err != nil {
		return Form{}, err
	}
	f.Text = string(c) + rest
	switch {
	case c == ':':
		f.Kind = Keyword
	case startsNumber(f.Text):
		f.Kind = Number
	}
	return f, nil
}

func startsNumber(s string) bool {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return s != "" && s[0] >= '0' && s[0] <= '9'
}

// delimiters end a token, as white space does.
const delimiters = `{}[]()";\`

// token reads up to the next delimiter.
func (d *Decoder) token() (string, error) {
	var s strings.Builder
	for {
		c, err := d.read()
		if errors.Is(err, io.EOF) {
			return s.String(), nil
		}
		if err != nil {
			return "", err
		}
		if space(c) || strings.ContainsRune(delimiters, c) {
			d.unread(c)
			return s.String(), nil
		}
		s.WriteRune(c)
	}
}

func (d *Decoder) char() (Form, error) {
	f := Form{Kind: Char, Line: d.line}
	c, err := d.must()
	if err != nil {
		return Form{}, err
	}
	rest, err := d.token()
	f.Text = `\` + string(c) + rest
	return f, err
}

// text reads a string after its opening quote.
func (d *Decoder) text() (Form, error) {
	f := Form{Kind: String, Line: d.line}
	var s strings.Builder
	for {
		c, err := d.must()
		if err != nil {
			return Form{}, err
		}
		switch c {
		case '"':
			f.Text = s.String()
			return f, nil
		case '\\':
			if c, err = d.escape(); err != nil {
				return Form{}, err
			}
		}
		s.WriteRune(c)
	}
}

var escapes = map[rune]rune{'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f', '"': '"', '\\': '\\'}

func (d *Decoder) escape() (rune, error) {
	c, err := d.must()
	if err != nil {
		return 0, err
	}
	if decoded, ok := escapes[c]; ok {
		return decoded, nil
	}
	if c != 'u' {
		return 0, d.errorf(`the escape \%c is unknown`, c)
	}
	high, err := d.unit()
	if err != nil || !utf16.IsSurrogate(high) {
		return high, err
	}
	for _, want := range `\u` {
		if c, err := d.must(); err != nil || c != want {
			return 0, errors.Join(d.errorf("half of a surrogate pair"), err)
		}
	}
	low, err := d.unit()
	if err != nil {
		return 0, err
	}
	if c = utf16.DecodeRune(high, low); c == '\uFFFD' {
		return 0, d.errorf("half of a surrogate pair")
	}
	return c, nil
}

// unit reads the four digits of a \u escape.
func (d *Decoder) unit() (rune, error) {
	var digits [4]rune
	for i := range digits {
		c, err := d.must()
		if err != nil {
			return 0, err
		}
		digits[i] = c
	}
	n, err := strconv.ParseUint(string(digits[:]), 16, 16)
	if err != nil {
		return 0, d.errorf(`\u%s is not four hexadecimal digits`, string(digits[:]))
	}
	return rune(n), nil
}

var quoter = strings.NewReplacer(`"`, `\"`, `\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`)

// String prints the form, so that equal forms print alike and different ones
// differently, but for the spelling of numbers.
func (f *Form) String() string {
	switch f.Kind {
	case String:
		return `"` + quoter.Replace(f.Text) + `"`
	case Vector:
		return "[" + join(f.Items) + "]"
	case Map:
		return "{" + join(f.Items) + "}"
	case Set:
		return "#{" + join(f.Items) + "}"
	case Tagged:
		return fmt.Sprintf("#%s %s", f.Text, f.Items[0].String())
	}
	return f.Text
}

func join(items []Form) string {
	texts := make([]string, len(items))
	for i := range items {
		texts[i] = items[i].String()
	}
	return strings.Join(texts, " ")
}
