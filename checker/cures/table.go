// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"dalio/checker/internal/trial"
)

// cure is a passage of the code that is needed, and what takes its place when it
// is taken out.
type cure struct {
	Name string `json:"name"`
	// Rule says what the passage sees to.
	Rule string `json:"rule"`
	// Hazards has the numbers that spec/README.md uses.
	Hazards []int `json:"hazards,omitempty"`
	// File is relative to the repository. Passage and Change are compared and put in
	// with any white space for a space.
	File    string `json:"file"`
	Passage string `json:"passage"`
	Change  string `json:"change"`
	// Tests are to notice: one of them must. They are named package.TestName, or
	// package.TestName/begin of a case.
	Tests []string `json:"tests"`
	// Unnoticed says why no test notices when the passage is gone: something else sees
	// to the same, though perhaps not for ever, or what would show it can't be brought
	// about. Such a cure is not tried.
	Unnoticed string `json:"unnoticed,omitempty"`
	// Sample: it is tried with every change.
	Sample bool `json:"sample,omitempty"`
}

// inC says whether the objects must be generated anew.
func (c *cure) inC() bool { return path.Ext(c.File) == ".h" || path.Ext(c.File) == ".c" }

// tables are the files beside this one.
var tables = []string{"dataplane.json", "controlplane.json", "replica.json", "readpath.json"}

// readTables reads all tables, and checks them as far as it can be done without
// the code.
func readTables(dir string) ([]cure, error) {
	var all []cure
	for _, name := range tables {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(f)
		d.DisallowUnknownFields()
		var some []cure
		err = d.Decode(&some)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, some...)
	}
	seen := map[string]bool{}
	for i := range all {
		c := &all[i]
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("cure %q: %w", c.Name, err)
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("two cures have the name %q", c.Name)
		}
		seen[c.Name] = true
	}
	return all, nil
}

func (c *cure) check() error {
	switch {
	case c.Name == "" || c.Rule == "" || c.File == "" || c.Passage == "":
		return errors.New("it has no name, rule, file or passage")
	case c.Passage == c.Change:
		return errors.New("it is not taken out")
	case len(c.Tests) == 0:
		return errors.New("no test is to notice")
	}
	for _, h := range c.Hazards {
		if h < 1 || h > 42 {
			return fmt.Errorf("there is no hazard %d", h)
		}
	}
	for _, t := range c.Tests {
		if _, err := trial.Parse(t); err != nil {
			return err
		}
	}
	return nil
}

// takeOut returns the text without the cure. The passage must be there once.
func (c *cure) takeOut(text string) (string, error) {
	var words []string
	for _, word := range strings.Fields(c.Passage) {
		words = append(words, regexp.QuoteMeta(word))
	}
	found := regexp.MustCompile(strings.Join(words, `\s+`)).FindAllStringIndex(text, -1)
	if len(found) != 1 {
		return "", fmt.Errorf("%s has this %d times, and not once: %s", c.File, len(found), c.Passage)
	}
	return text[:found[0][0]] + c.Change + text[found[0][1]:], nil
}
