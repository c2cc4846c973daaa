// SPDX-License-Identifier: Apache-2.0

package logic

import (
	"fmt"
	"strings"
	"unicode"
)

// token is a word, a number, a quoted text or a sign of a theory's text.
type token struct {
	text   string
	quoted bool
	line   int
	indent int // spaces before it, where it is the first of its line; else -1
}

var signs = []string{"<=>", ":=", "=>", "!=", "<=", ">=", "=", "<", ">", "&", "|", "!", "+", "-", "(", ")", ",", ":", "."}

// lex takes text apart. What follows # on a line is a comment.
func lex(text string) ([]token, error) {
	var out []token
	for i, line := range strings.Split(text, "\n") {
		rest := strings.TrimLeft(line, " ")
		indent := len(line) - len(rest)
		for rest != "" && rest[0] != '#' {
			t := token{line: i + 1, indent: indent}
			indent = -1
			switch {
			case rest[0] == '"':
				end := strings.IndexByte(rest[1:], '"')
				if end < 0 {
					return nil, fmt.Errorf("line %d: a quoted text has no end", i+1)
				}
				t.text, t.quoted = rest[1:1+end], true
				rest = rest[end+2:]
			case isWord(rune(rest[0])):
				end := strings.IndexFunc(rest, func(r rune) bool { return !isWord(r) })
				if end < 0 {
					end = len(rest)
				}
				t.text, rest = rest[:end], rest[end:]
			default:
				for _, s := range signs {
					if strings.HasPrefix(rest, s) {
						t.text = s
						break
					}
				}
				if t.text == "" {
					return nil, fmt.Errorf("line %d: %q is no sign of the language", i+1, rest[:1])
				}
				rest = rest[len(t.text):]
			}
			out = append(out, t)
			rest = strings.TrimLeft(rest, " ")
		}
	}
	return out, nil
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }
