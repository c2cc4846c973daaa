// SPDX-License-Identifier: Apache-2.0

package solver

import (
	"fmt"
	"strings"
)

// sexpr is an atom or a list of what z3 prints.
type sexpr struct {
	atom string
	list []sexpr
}

func (s sexpr) head() string {
	if len(s.list) > 0 {
		return s.list[0].atom
	}
	return ""
}

// parseModel reads all that is printed, which is one list.
func parseModel(text string) (sexpr, error) {
	rest, s, err := parseSexpr(strings.TrimSpace(stripComments(text)))
	if err == nil && strings.TrimSpace(rest) != "" {
		err = fmt.Errorf("the model goes on after its end: %.40q", rest)
	}
	return s, err
}

func stripComments(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(strings.TrimSpace(l), ";") {
			lines[i] = ""
		}
	}
	return strings.Join(lines, "\n")
}

func parseSexpr(text string) (string, sexpr, error) {
	text = strings.TrimLeft(text, " \n\t")
	switch {
	case text == "":
		return "", sexpr{}, fmt.Errorf("the model ends early")
	case text[0] == '(':
		s := sexpr{list: []sexpr{}}
		text = strings.TrimLeft(text[1:], " \n\t")
		for text != "" && text[0] != ')' {
			var e sexpr
			var err error
			if text, e, err = parseSexpr(text); err != nil {
				return "", s, err
			}
			s.list = append(s.list, e)
			text = strings.TrimLeft(text, " \n\t")
		}
		if text == "" {
			return "", s, fmt.Errorf("the model ends early")
		}
		return text[1:], s, nil
	case text[0] == '|':
		end := strings.IndexByte(text[1:], '|')
		if end < 0 {
			return "", sexpr{}, fmt.Errorf("a quoted name has no end: %.40q", text)
		}
		return text[end+2:], sexpr{atom: text[1 : end+1]}, nil
	}
	end := strings.IndexAny(text, " \n\t()")
	if end < 0 {
		end = len(text)
	}
	return text[end:], sexpr{atom: text[:end]}, nil
}
