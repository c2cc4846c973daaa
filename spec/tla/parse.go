// SPDX-License-Identifier: Apache-2.0

package tla

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	// maxDepth bounds how deep values may be nested.
	maxDepth = 500
	// maxInterval bounds the elements of an interval such as 1..3.
	maxInterval = 1 << 16
)

// Parse reads one value, and nothing after it, as TLC's ToString prints it. It
// also reads intervals, and more white space than TLC prints. An error names the
// byte at which the text stops being a value, counted from 0.
func Parse(text string) (v Value, err error) {
	p := parser{text: text}
	defer func() {
		if failure, ok := recover().(*syntaxError); ok {
			v, err = nil, failure
		}
	}()
	v = p.value(0)
	if p.space(); p.at < len(text) {
		p.fail("more after the value")
	}
	return v, nil
}

type parser struct {
	text string
	at   int
}

type syntaxError struct {
	at   int
	near string
	what string
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("tla: at byte %d, near %q: %s", e.at, e.near, e.what)
}

// fail ends the parsing; Parse returns the error.
func (p *parser) fail(format string, args ...any) {
	near := p.text[min(p.at, len(p.text)):]
	panic(&syntaxError{p.at, near[:min(len(near), 20)], fmt.Sprintf(format, args...)})
}

func (p *parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// accept reads a token if it comes next.
func (p *parser) accept(token string) bool {
	p.space()
	if !strings.HasPrefix(p.text[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

func (p *parser) expect(token string) {
	if !p.accept(token) {
		p.fail("%q expected", token)
	}
}

func (p *parser) value(depth int) Value {
	if depth > maxDepth {
		p.fail("nested more than %d deep", maxDepth)
	}
	switch p.space(); {
	case p.accept("<<"):
		return NewTuple(p.list(depth, ">>")...)
	case p.accept("{"):
		return NewSet(p.list(depth, "}")...)
	case p.accept("["):
		return p.record(depth)
	case p.accept("("):
		return p.function(depth)
	case p.accept(`"`):
		return p.stringValue()
	case p.at < len(p.text) && (p.text[p.at] == '-' || isDigit(p.text[p.at])):
		return p.number()
	}
	switch name := p.identifier(); name {
	case "TRUE":
		return Bool(true)
	case "FALSE":
		return Bool(false)
	case "":
		p.fail("a value expected")
		return nil
	default:
		return Model(name)
	}
}

// list reads values up to the closing token.
func (p *parser) list(depth int, closing string) []Value {
	if p.accept(closing) {
		return nil
	}
	var values []Value
	for {
		values = append(values, p.value(depth+1))
		if p.accept(closing) {
			return values
		}
		p.expect(",")
	}
}

func (p *parser) record(depth int) Value {
	var fields []Field
	seen := map[string]bool{}
	for {
		p.space()
		name := p.identifier()
		if name == "" || seen[name] {
			p.fail("the name of another field expected")
		}
		seen[name] = true
		p.expect("|->")
		fields = append(fields, Field{name, p.value(depth + 1)})
		if p.accept("]") {
			return NewRecord(fields...)
		}
		p.expect(",")
	}
}

func (p *parser) function(depth int) Value {
	var pairs []Pair
	for {
		key := p.value(depth + 1)
		p.expect(":>")
		pairs = append(pairs, Pair{key, p.value(depth + 1)})
		if p.accept(")") {
			return NewFunction(pairs...)
		}
		p.expect("@@")
	}
}

// number reads an integer, or an interval, which is a set.
func (p *parser) number() Value {
	first := p.integer()
	if !p.accept("..") {
		return first
	}
	p.space()
	last := p.integer()
	if last-first >= maxInterval {
		p.fail("an interval of more than %d", maxInterval)
	}
	var all []Value
	for i := first; i <= last; i++ {
		all = append(all, i)
	}
	return NewSet(all...)
}

// integer reads one of 32 bits, as TLC has no others.
func (p *parser) integer() Int {
	end := p.at
	if end < len(p.text) && p.text[end] == '-' {
		end++
	}
	for end < len(p.text) && isDigit(p.text[end]) {
		end++
	}
	n, err := strconv.ParseInt(p.text[p.at:end], 10, 32)
	if err != nil {
		p.fail("an integer of 32 bits expected")
	}
	p.at = end
	return Int(n)
}

func (p *parser) stringValue() Value {
	start := p.at
	var unescaped []byte // nil as long as there is no escape
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			if unescaped == nil {
				return String(p.text[start : p.at-1])
			}
			return String(unescaped)
		case c == '\\':
			if unescaped == nil {
				unescaped = append([]byte{}, p.text[start:p.at]...)
			}
			p.at++
			unescaped = append(unescaped, p.escape())
		case unescaped != nil:
			unescaped = append(unescaped, c)
		}
	}
	p.fail("the string has no end")
	return nil
}

func (p *parser) escape() byte {
	for char, escape := range escapes {
		if p.at < len(p.text) && p.text[p.at] == escape {
			return char
		}
	}
	p.fail("no escape of TLA+")
	return 0
}

// identifier reads a name, and returns "" if none comes next.
func (p *parser) identifier() string {
	start := p.at
	for p.at < len(p.text) && isWord(p.text[p.at]) {
		p.at++
	}
	if name := p.text[start:p.at]; isIdentifier(name) {
		return name
	}
	p.at = start
	return ""
}

// isIdentifier says whether a name can stand for itself: it needs a letter, and
// may not look like a number.
func isIdentifier(name string) bool {
	if name == "" || isDigit(name[0]) {
		return false
	}
	letter := false
	for i := range len(name) {
		if !isWord(name[i]) {
			return false
		}
		letter = letter || !isDigit(name[i]) && name[i] != '_'
	}
	return letter
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWord(c byte) bool {
	return isDigit(c) || c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
