// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// What becomes of a mutant.
const (
	// killed: an assertion failed.
	killed = "killed"
	// compared: no property was violated, but the code takes other steps. Of the
	// specification only, like the next.
	compared = "compared"
	// counted: nothing but a pinned count is another, which fails make test. It is not
	// taken for noticed.
	counted = "counted"
	// lived: nothing was noticed.
	lived = "lived"
	// crashed: tests ended by a panic, but no assertion failed.
	crashed = "crashed"
	// late: tests did not end in time, and no assertion failed.
	late = "late"
	// refused: it is no mutant. The verifier, the compiler or TLC does not take it.
	refused = "refused"
)

// outcome is a mutant and what became of it.
type outcome struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Place string `json:"place"`
	Was   string `json:"was,omitempty"`
	Is    string `json:"is"`
	State string `json:"state"`
	// By says what noticed it, or how it ended.
	By string `json:"by,omitempty"`
	// Why is the argument of one that was not noticed.
	Why string `json:"why,omitempty"`
}

// argument says why mutants live: those whose name, and change, match.
type argument struct {
	Name string `json:"name"`
	Was  string `json:"was,omitempty"`
	Is   string `json:"is,omitempty"`
	Why  string `json:"why"`
	// Equivalent: no test can tell them, of this program on this kernel, and they don't
	// count. Others are listed, and count as not noticed.
	Equivalent bool `json:"equivalent,omitempty"`

	name, was, is *regexp.Regexp
	used          bool
}

func argumentsOf(o *options, kind string) string {
	return filepath.Join(o.root, "checker", "mutate", "arguments", kind+".json")
}

func readArguments(path string) ([]*argument, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []*argument
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i, a := range all {
		if a.Name == "" || a.Why == "" {
			return nil, fmt.Errorf("%s: argument %d has no name, or says nothing", path, i)
		}
		for _, p := range []struct {
			text string
			to   **regexp.Regexp
		}{{a.Name, &a.name}, {a.Was, &a.was}, {a.Is, &a.is}} {
			if *p.to, err = regexp.Compile(p.text); err != nil {
				return nil, fmt.Errorf("%s: argument %d: %w", path, i, err)
			}
		}
	}
	return all, nil
}

func (a *argument) fits(m *outcome) bool {
	return a.name.MatchString(m.Name) && a.was.MatchString(m.Was) && a.is.MatchString(m.Is)
}

// score is how many mutants of a kind were noticed.
type score struct {
	Kind  string `json:"kind"`
	Valid int    `json:"valid"`
	// Killed has those of Compared among them.
	Killed   int     `json:"killed"`
	Compared int     `json:"compared,omitempty"`
	Counted  int     `json:"counted,omitempty"`
	Lived    int     `json:"lived"`
	Crashed  int     `json:"crashed,omitempty"`
	Late     int     `json:"late,omitempty"`
	Refused  int     `json:"refused"`
	Argued   int     `json:"argued"`
	Seconds  float64 `json:"seconds"`
}

// raw is the share that was noticed of all, and adjusted that of those for which
// there is no argument that they are equivalent. Both are in percent.
func (s *score) raw() float64      { return percent(s.Killed, s.Valid) }
func (s *score) adjusted() float64 { return percent(s.Killed, s.Valid-s.Argued) }

func percent(part, of int) float64 {
	if of == 0 {
		return 100
	}
	return 100 * float64(part) / float64(of)
}

func (s score) String() string {
	text := fmt.Sprintf("%-9s %d mutants (and %d refused): %d killed%s, %d lived", s.Kind, s.Valid, s.Refused, s.Killed, s.how(), s.Lived)
	for _, other := range []struct {
		n  int
		as string
	}{{s.Counted, "told by pinned counts alone"}, {s.Crashed, "crashed"}, {s.Late, "late"}} {
		if other.n != 0 {
			text += fmt.Sprintf(", %d %s", other.n, other.as)
		}
	}
	return text + fmt.Sprintf("; %.1f%%, or %.1f%% without the %d argued to be equivalent; %.0f s", s.raw(), s.adjusted(), s.Argued, s.Seconds)
}

// how says by what they were killed, if there are several ways.
func (s *score) how() string {
	if s.Compared == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d by a violated property, %d by steps that the code does not take, or others)", s.Killed-s.Compared, s.Compared)
}

func (s score) short() string {
	return fmt.Sprintf("%s %d of %d (%.1f%%; %.1f%% without %d equivalent ones)", s.Kind, s.Killed, s.Valid, s.raw(), s.adjusted(), s.Argued)
}

// cell is for the evidence table.
func (s *score) cell() string {
	text := fmt.Sprintf("%d of %d noticed%s: %.1f%%, or %.1f%% without %d that are argued to be equivalent", s.Killed, s.Valid, s.how(), s.raw(), s.adjusted(), s.Argued)
	if s.Counted != 0 {
		text += fmt.Sprintf("; %d more by pinned counts alone", s.Counted)
	}
	return text
}

// enough is the share, in percent, that must be noticed.
const enough = 95

// judge counts, and says what is wrong: too few, too many not noticed, one that is not
// listed, or a listed one that there is not.
func judge(o *options, k kind, all []outcome) (score, error) {
	s := score{Kind: k.name}
	arguments, err := readArguments(argumentsOf(o, k.name))
	if err != nil {
		return s, err
	}
	var problems []error
	for i := range all {
		m := &all[i]
		var of *argument
		for _, a := range arguments {
			if a.fits(m) {
				of, a.used = a, true
				break
			}
		}
		switch m.State {
		case refused:
			s.Refused++
			continue
		case killed:
			s.Killed++
		case compared:
			s.Killed++
			s.Compared++
		case counted:
			s.Counted++
		case crashed:
			s.Crashed++
		case late:
			s.Late++
		default:
			s.Lived++
		}
		s.Valid++
		if m.State == killed || m.State == compared {
			continue
		}
		if m.Why != "" { // Excused where it comes from.
			s.Argued++
			continue
		}
		if of == nil {
			problems = append(problems, fmt.Errorf("%s mutant not noticed (%s), and not listed in checker/mutate/arguments/%s.json: %s\n\tat %s: %s => %s",
				k.name, m.State, k.name, m.Name, m.Place, m.Was, m.Is))
			continue
		}
		m.Why = of.Why
		if of.Equivalent {
			s.Argued++
		}
	}
	// A part of them need not have one of each.
	for _, a := range arguments {
		if !a.used && !o.part() {
			problems = append(problems, fmt.Errorf("an argument in checker/mutate/arguments/%s.json fits no mutant; take it out: %s", k.name, a.Name))
		}
	}
	if !o.part() {
		if s.Valid < k.least {
			problems = append(problems, fmt.Errorf("there are %d %s mutants, and %d are wanted", s.Valid, k.name, k.least))
		}
		if s.adjusted() < enough {
			problems = append(problems, fmt.Errorf("%.1f%% of the %s mutants are noticed, and it must be %d%%", s.adjusted(), k.name, enough))
		}
	}
	return s, errors.Join(problems...)
}
