// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"dalio/spec/jar"
)

// modules are the lines of the modules of the specification, by name. TLC names an
// action by its operator, or by where it stands in one that joins several.
type modules map[string][]string

var (
	coverageLine = regexp.MustCompile(`^<(\w+) line \d+, col \d+ to line \d+, col \d+ of module (\w+)(?: \((\d+) (\d+) (\d+) (\d+)\))?>: \d+:(\d+)$`)
	actionCall   = regexp.MustCompile(`\b([A-Z]\w+)\(`)
	definition   = regexp.MustCompile(`^(\w+)(?:\([^()]*\))? ==(.*)$`)
	operator     = regexp.MustCompile(`^[A-Z]\w*`)
)

func readModules(directory string) (modules, error) {
	paths, err := filepath.Glob(filepath.Join(directory, "*.tla"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("there are no modules in %s", directory)
	}
	all := modules{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read a module: %w", err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".tla")] = strings.Split(string(text), "\n")
	}
	return all, nil
}

// actionAt names the action of a coverage line. Where TLC points to a part that
// begins with a quantifier, that is a disjunct of an operator that joins actions,
// and the action is the one called last in it. Any other part is what an action
// says below its definitions.
func (m modules) actionAt(match []string) (string, error) {
	name, module := match[1], match[2]
	if match[3] == "" {
		return name, nil
	}
	source := m[module]
	line, first, last := jar.Number(match[3]), jar.Number(match[4]), jar.Number(match[6])
	if line < 1 || line > len(source) || first < 1 || first > len(source[line-1]) {
		return "", fmt.Errorf("the coverage of %s points outside of module %s", name, module)
	}
	if !strings.HasPrefix(source[line-1][first-1:], `\E `) {
		return name, nil
	}
	if match[3] != match[5] || last > len(source[line-1]) {
		return "", fmt.Errorf("the coverage of %s points outside one line of module %s", name, module)
	}
	calls := actionCall.FindAllStringSubmatch(source[line-1][first-1:last], -1)
	if len(calls) == 0 {
		return "", fmt.Errorf("line %d of module %s calls no action", line, module)
	}
	return calls[len(calls)-1][1], nil
}

// actions returns the actions that an operator of the module joins: those of Next
// are all there are. What is named a step joins actions in turn.
func (m modules) actions(module, joining string) ([]string, error) {
	var body []string
	inside := false
	for _, line := range m[module] {
		line, _, _ = strings.Cut(line, `\*`)
		if d := definition.FindStringSubmatch(line); d != nil && d[1] == joining {
			inside, line = true, d[2]
		} else if strings.TrimSpace(line) == "" {
			inside = false
		}
		if inside {
			body = append(body, line)
		}
	}
	var all []string
	for _, disjunct := range strings.Split(strings.Join(body, " "), `\/`) {
		parts := strings.Split(disjunct, " : ")
		name := operator.FindString(strings.TrimSpace(parts[len(parts)-1]))
		switch {
		case strings.TrimSpace(disjunct) == "":
		case name == "":
			return nil, fmt.Errorf("%s of module %s: %q is no action", joining, module, disjunct)
		case strings.HasSuffix(name, "Step"):
			joined, err := m.actions(module, name)
			if err != nil {
				return nil, err
			}
			all = append(all, joined...)
		case !slices.Contains(all, name):
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("module %s has no %s that joins actions", module, joining)
	}
	return all, nil
}

// judgeCoverage reports how the actions that a run took are not those that the
// manifest says of the model. actions are all that there are, broken those that
// only a missing cure makes possible.
func judgeCoverage(model Model, taken map[string]int, actions, broken []string) error {
	if len(taken) == 0 {
		return fmt.Errorf("TLC printed no coverage")
	}
	for action := range taken {
		if action != "Init" && !slices.Contains(actions, action) {
			return fmt.Errorf("TLC reports %s, which is no action of the specification", action)
		}
	}
	for _, action := range actions {
		steps, reported := taken[action]
		if !reported {
			return fmt.Errorf("TLC reports nothing of action %s", action)
		}
		if allowed := !slices.Contains(model.NotTaken, action) && !slices.Contains(broken, action); allowed != (steps > 0) {
			return fmt.Errorf("action %s is taken %d times", action, steps)
		}
	}
	return nil
}

// checkCoverage reports an action of the modules that no model of the default set
// must take, and names that the manifest has and the modules have not.
func (m *Manifest) checkCoverage(sources modules) error {
	for module, broken := range m.OnlyBroken {
		actions, err := sources.actions(specOf(module), "Next")
		if err != nil {
			return err
		}
		missing := slices.Clone(actions)
		for _, model := range m.Models {
			if model.Module != module || !model.Coverage {
				continue
			}
			for _, action := range model.NotTaken {
				if !slices.Contains(actions, action) || slices.Contains(broken, action) {
					return fmt.Errorf("model %s is not to take %s, which is no action or never taken", model.Name, action)
				}
			}
			if !model.Full {
				missing = slices.DeleteFunc(missing, func(action string) bool {
					return !slices.Contains(model.NotTaken, action)
				})
			}
		}
		for _, action := range broken {
			if !slices.Contains(actions, action) {
				return fmt.Errorf("%s is no action of module %s", action, specOf(module))
			}
		}
		for _, action := range missing {
			if !slices.Contains(broken, action) {
				return fmt.Errorf("no model of the default set takes action %s of module %s", action, specOf(module))
			}
		}
	}
	return nil
}

// specOf gives the module of the protocol that the module of the models extends.
func specOf(module string) string {
	return strings.TrimPrefix(module, "MC")
}
