// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// source is a file in C, and which function each of its lines belongs to. The object
// does not tell: all functions are part of the two programs.
type source struct {
	lines     []string
	functions []string // by line; "" outside of them
}

type sources map[string]*source

// readSources reads the C files in a folder.
func readSources(dir string) (sources, error) {
	all := sources{}
	for _, pattern := range []string{"*.h", "*.c"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("read the sources: %w", err)
			}
			all[filepath.Base(path)] = parseSource(string(text))
		}
	}
	return all, nil
}

// head is what a function begins with: its name and an opening parenthesis, on a line
// that is not indented and does not end there.
var head = regexp.MustCompile(`^[a-z].*?\b(\w+)\(.*[^;]$`)

// parseSource knows a function by the braces at the starts of lines.
func parseSource(text string) *source {
	s := &source{lines: strings.Split(text, "\n")}
	function, inside := "", false
	for _, line := range s.lines {
		if m := head.FindStringSubmatch(line); m != nil && !inside {
			function = m[1]
		}
		inside = inside || line == "{" && function != ""
		s.functions = append(s.functions, function)
		if line == "}" {
			function, inside = "", false
		}
	}
	return s
}

// function returns the name of the function that a place is in.
func (s sources) function(at place) string {
	if f := s[at.file]; f != nil && at.line >= 1 && at.line <= len(f.lines) && f.functions[at.line-1] != "" {
		return f.functions[at.line-1]
	}
	return "(none)"
}

// text returns the line at a place, without indentation.
func (s sources) text(at place) string {
	if f := s[at.file]; f != nil && at.line >= 1 && at.line <= len(f.lines) {
		return strings.TrimSpace(f.lines[at.line-1])
	}
	return fmt.Sprintf("%s:%d", at.file, at.line)
}
