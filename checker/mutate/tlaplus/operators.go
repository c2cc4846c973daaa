// SPDX-License-Identifier: Apache-2.0

package tlaplus

import (
	"regexp"
	"slices"
	"strings"
)

// operator is one way to change a line; it returns what may take its place.
type operator struct {
	name   string
	change func(code []string, at int) []string
}

// operators are fixed: docs/mutation.md lists them.
var operators = []operator{
	{"drop-conjunct", dropConjunct},
	{"move-bound", tokens(bounds)},
	{"negate", tokens(opposites)},
	{"swap-set", tokens(sets)},
	{"swap-quantifier", quantifiers},
	{"drop-update", dropUpdate},
	{"off-by-one", tokens(steps)},
}

// token is a pattern, of which the first group is replaced.
type token struct {
	pattern *regexp.Regexp
	by      string
}

func replacing(by string, patterns ...string) (all []token) {
	for _, p := range patterns {
		all = append(all, token{regexp.MustCompile(p), by})
	}
	return all
}

var (
	bounds = concat(
		replacing("<=", ` (<) `), replacing("<", ` (<=) `),
		replacing(">=", ` (>) `), replacing(">", ` (>=) `))
	// An equation is negated where it is a condition, and no binding, record field or
	// next value: its left side is a name, or the end of an application.
	opposites = concat(
		replacing("#", `[\w\])}] (=) `), replacing("=", ` (#) `),
		replacing(`\notin`, `[\w\])}] (\\in) `), replacing(`\in`, ` (\\notin) `),
		replacing("", `(~)[\w(]`),
		replacing("~Newer(", `[^~](Newer\()`), replacing("~Pending(", `[^~](Pending\()`), replacing("~Holds(", `[^~](Holds\()`),
		replacing("~Waits(", `[^~](Waits\()`), replacing("~Running(", `[^~](Running\()`))
	sets  = concat(replacing(`\cap`, ` (\\cup) `), replacing(`\cup`, ` (\\cap) `), replacing(`\cup`, ` (\\) `))
	steps = concat(replacing("+ 0", `(\+ 1)\b`), replacing("- 0", `(- 1)\b`))
)

func concat(lists ...[]token) (all []token) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// tokens changes each place where one of the tokens is, but not in what is no condition.
func tokens(of []token) func([]string, int) []string {
	return func(code []string, at int) (all []string) {
		line := code[at]
		for _, t := range of {
			for _, place := range t.pattern.FindAllStringSubmatchIndex(line, -1) {
				begin, end := place[2], place[3]
				if t.by == "#" && !isCondition(line[:begin]) || t.by == `\notin` && binds(line[:begin]) {
					continue
				}
				all = append(all, line[:begin]+t.by+line[end:])
			}
		}
		return all
	}
}

var (
	assigned = regexp.MustCompile(`(\w' |![.\[][^=]*|EXCEPT[^=]*)$`)
	bound    = regexp.MustCompile(`(\\[AE] [\w, ]+|[\[{(,] ?\w+|CHOOSE \w+) $`)
)

// isCondition says whether an equation that comes next is one.
func isCondition(before string) bool { return !assigned.MatchString(before) }

// binds says whether a membership that comes next binds a name.
func binds(before string) bool { return bound.MatchString(before) }

// quantifiers changes "for some" and "for all" into the other, where the sets they
// range over are written on the same line.
func quantifiers(code []string, at int) (all []string) {
	line := code[at]
	for from, to := range map[string]string{`\A `: `\E `, `\E `: `\A `} {
		for i := 0; ; {
			next := strings.Index(line[i:], from)
			if next < 0 {
				break
			}
			i += next
			all = append(all, line[:i]+to+line[i+len(from):])
			i += len(from)
		}
	}
	slices.Sort(all) // The order of a map is not always the same.
	return all
}

// dropConjunct has a condition always hold: a conjunct, or disjunct of conjuncts, on
// one line, that says nothing of the next state.
func dropConjunct(code []string, at int) (all []string) {
	line := code[at]
	for _, part := range conjuncts(line) {
		text := line[part[0]:part[1]]
		if strings.ContainsAny(text, "'") || strings.Contains(text, "UNCHANGED") || !balanced(text) || continues(code, at, part[1]) {
			continue
		}
		all = append(all, line[:part[0]]+"TRUE"+line[part[1]:])
	}
	return all
}

var junction = regexp.MustCompile(`/\\ |\\/ | /\\$`)

// conjuncts returns where the conditions of a line begin and end.
func conjuncts(line string) (parts [][2]int) {
	marks := junction.FindAllStringIndex(line, -1)
	for i, mark := range marks {
		end := len(line)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		begin := mark[1]
		for begin < end && line[begin] == ' ' {
			begin++
		}
		for end > begin && line[end-1] == ' ' {
			end--
		}
		if begin < end && line[mark[0]:mark[0]+2] == `/\` {
			parts = append(parts, [2]int{begin, end})
		}
	}
	return parts
}

var opening = regexp.MustCompile(`^(IF|LET|\\E|\\A|THEN|ELSE|Handle|Forward|Send|Drop|TRUE|CHOOSE)`)

func balanced(text string) bool {
	return !opening.MatchString(text) && strings.Count(text, "(") == strings.Count(text, ")") && strings.Count(text, "[") == strings.Count(text, "]") &&
		strings.Count(text, "{") == strings.Count(text, "}") && strings.Count(text, "<<") == strings.Count(text, ">>")
}

// continues says whether the condition goes on in the next line.
func continues(code []string, at, end int) bool {
	if end < len(code[at]) || at+1 >= len(code) {
		return false
	}
	next := strings.TrimSpace(code[at+1])
	return next != "" && !strings.HasPrefix(next, `/\`) && !strings.HasPrefix(next, `\/`) && !strings.HasPrefix(next, "THEN") &&
		!strings.HasPrefix(next, "ELSE") && !strings.HasPrefix(next, "IN") && !definition.MatchString(code[at+1]) && indent(code[at+1]) > indent(code[at])
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

var update = regexp.MustCompile(`!(?:\.\w+|\[[^\]]*\])+ = `)

// dropUpdate has a field keep its value.
func dropUpdate(code []string, at int) (all []string) {
	line := code[at]
	for _, place := range update.FindAllStringIndex(line, -1) {
		depth, end := 0, place[1]
		for ; end < len(line); end++ {
			c := line[end]
			if strings.IndexByte("([{", c) >= 0 {
				depth++
			}
			if strings.IndexByte(")]}", c) >= 0 {
				if depth == 0 {
					break
				}
				depth--
			}
			if c == ',' && depth == 0 {
				break
			}
		}
		if end == len(line) && !strings.HasSuffix(line, ",") {
			continue // It goes on in the next line.
		}
		if value := strings.TrimSpace(line[place[1]:end]); value != "@" && value != "" {
			all = append(all, line[:place[1]]+"@"+line[end:])
		}
	}
	return all
}
