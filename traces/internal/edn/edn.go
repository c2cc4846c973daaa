// SPDX-License-Identifier: Apache-2.0

// Package edn reads the part of EDN that Clojure prints, one form at a time
// and within bounds. It keeps what it has no use for as text: the histories it
// reads hold exceptions, ratios and printed objects, on which a reader that
// must understand every form fails.
package edn

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Bounds on one form, so that no input can exhaust memory or stack.
const (
	MaxBytes = 1 << 20
	MaxDepth = 64
)

// Kind tells the forms apart.
type Kind uint8

// The kinds of forms.
const (
	Symbol  Kind = iota // also nil, true, false and ##NaN
	Keyword             // Text has its colon
	Number              // Text as written
	String              // Text is decoded
	Char                // Text as written
	Vector              // also a list
	Map                 // Items alternate keys and values
	Set
	Tagged // Text is the tag, Items the one form
)

// Form is one EDN value.
type Form struct {
	Kind  Kind
	Text  string
	Items []Form
	Line  int
}

// Nil reports whether the form is nil.
func (f *Form) Nil() bool { return f.Kind == Symbol && f.Text == "nil" }

// SyntaxError says where the input is not EDN.
type SyntaxError struct {
	Line int
	Msg  string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Msg) }

// Decoder reads forms from a stream.
type Decoder struct {
	r     *bufio.Reader
	line  int
	bytes int  // of the present form
	outer rune // closes the collection the whole stream is wrapped in, or 0
	ended bool // that collection is closed
	begun bool
}

// NewDecoder returns a Decoder of r.
func NewDecoder(r io.Reader) *Decoder {
	return &Decoder{r: bufio.NewReaderSize(r, 1<<16), line: 1}
}

// Next returns the next form, or io.EOF after the last. If the whole stream is
// one vector or list, its elements are returned one by one.
func (d *Decoder) Next() (Form, error) {
	for {
		d.bytes = 0
		c, err := d.skip(0)
		if errors.Is(err, io.EOF) {
			if d.outer != 0 && !d.ended {
				return Form{}, d.errorf("the input ends before the closing %q: the recording was cut off", d.outer)
			}
			return Form{}, io.EOF
		}
		if err != nil {
			return Form{}, err
		}
		switch {
		case d.ended:
			return Form{}, d.errorf("there is more after the closing %q", d.outer)
		case !d.begun && (c == '[' || c == '('):
			d.outer = closing(c)
			d.begun = true
			continue
		case d.outer != 0 && c == d.outer:
			d.ended = true
			continue
		}
		d.begun = true
		return d.form(c, 1)
	}
}

func closing(open rune) rune {
	switch open {
	case '[':
		return ']'
	case '(':
		return ')'
	default:
		return '}'
	}
}

func (d *Decoder) errorf(format string, args ...any) error {
	return &SyntaxError{Line: d.line, Msg: fmt.Sprintf(format, args...)}
}

// read returns the next character.
func (d *Decoder) read() (rune, error) {
	c, n, err := d.r.ReadRune()
	if err != nil {
		return 0, err
	}
	if c == utf8.RuneError && n == 1 {
		return 0, d.errorf("not valid UTF-8")
	}
	if d.bytes += n; d.bytes > MaxBytes {
		return 0, d.errorf("a form is longer than %d bytes", MaxBytes)
	}
	if c == '\n' {
		d.line++
	}
	return c, nil
}

func (d *Decoder) unread(c rune) {
	// UnreadRune cannot fail right after a ReadRune.
	_ = d.r.UnreadRune()
	d.bytes -= utf8.RuneLen(c)
	if c == '\n' {
		d.line--
	}
}

// must is read inside a form, where the input must not end.
func (d *Decoder) must() (rune, error) {
	c, err := d.read()
	if errors.Is(err, io.EOF) {
		return 0, d.errorf("the input ends inside a form: the recording was cut off")
	}
	return c, err
}

// skip returns the first character that is neither white space nor part of a
// comment or a discarded form.
func (d *Decoder) skip(depth int) (rune, error) {
	for {
		c, err := d.read()
		switch {
		case err != nil:
			return 0, err
		case c == ';':
			if err := d.comment(); err != nil {
				return 0, err
			}
		case c == '#':
			discard, err := d.discard(depth)
			if err != nil {
				return 0, err
			}
			if !discard {
				return c, nil
			}
		case !space(c):
			return c, nil
		}
		if depth == 0 {
			d.bytes = 0 // What lies between forms may be of any length.
		}
	}
}

// comment reads to the end of the line. A comment is not part of a form's
// length.
func (d *Decoder) comment() error {
	length := d.bytes
	defer func() { d.bytes = length }()
	for {
		c, err := d.read()
		if err != nil || c == '\n' {
			return err
		}
		d.bytes = length
	}
}

// discard consumes #_ and the form after it.
func (d *Decoder) discard(depth int) (bool, error) {
	c, err := d.must()
	if err != nil {
		return false, err
	}
	if c != '_' {
		d.unread(c)
		return false, nil
	}
	if depth >= MaxDepth {
		return false, d.errorf("forms are nested more than %d deep", MaxDepth)
	}
	_, err = d.nested(depth + 1)
	return true, err
}

func space(c rune) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ',' || c == '\f'
}
