// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"dalio/spec/cfg"
)

// Limits of the second checker, beyond any conformance model.
const (
	secondStates = "5000000"
	secondDepth  = "10000"
)

// second has the second checker, which shares nothing with TLC, explore the same
// module with the same configuration, and expects the same numbers of states and of
// different steps.
func (r *runner) second(ctx context.Context, m Model, config cfg.Config, steps int) error {
	scratch, err := os.MkdirTemp(r.work, m.Name+"-second-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := r.forSecond(scratch, m, config); err != nil {
		return err
	}
	var out, progress bytes.Buffer
	checker := exec.CommandContext(ctx, r.Second, m.Module+".tla", "--config", m.Name+".cfg", "--json",
		"--max-states", secondStates, "--max-depth", secondDepth)
	checker.Dir, checker.Stdout, checker.Stderr = scratch, &out, &progress
	err = checker.Run()
	if err := os.WriteFile(filepath.Join(r.work, m.Name+".second.log"), append(progress.Bytes(), out.Bytes()...), 0o644); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the second checker is not there, run scripts/setup conform: %w", err)
	}
	var told struct {
		Status string `json:"status"`
		Stats  struct {
			States int `json:"states_explored"`
			Steps  int `json:"transitions"`
		} `json:"stats"`
	}
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	if problem := json.Unmarshal(lines[len(lines)-1], &told); err != nil || problem != nil {
		return fmt.Errorf("the second checker: %w\n%s", errors.Join(err, problem), lastLines(out.Bytes()))
	}
	if told.Status != "ok" || told.Stats.States != m.Distinct || told.Stats.Steps != steps {
		return fmt.Errorf("the second checker says %q with %d states and %d steps, where TLC counts %d and %d",
			told.Status, told.Stats.States, told.Stats.Steps, m.Distinct, steps)
	}
	return nil
}

// forSecond copies the modules and the configuration for the second checker. It
// can't put an operator with arguments in the place of a constant; so that is done
// in the text. Nothing need be printed, so Emit is left out.
func (r *runner) forSecond(scratch string, m Model, config cfg.Config) error {
	text, err := os.ReadFile(filepath.Join(directory(r.root), m.Name+".cfg"))
	if err != nil {
		return err
	}
	var kept []string
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.Contains(line, " <- ") && !strings.HasPrefix(line, "ACTION_CONSTRAINT") {
			kept = append(kept, line)
		}
	}
	if err := os.WriteFile(filepath.Join(scratch, m.Name+".cfg"), []byte(strings.Join(kept, "\n")), 0o644); err != nil {
		return err
	}
	modules, err := filepath.Glob(filepath.Join(r.root, "spec", "*.tla"))
	if err != nil {
		return err
	}
	for _, module := range modules {
		text, err := os.ReadFile(module)
		if err != nil {
			return err
		}
		for constant, by := range config.Constants {
			operator, replaced := strings.CutPrefix(by, "<- ")
			if !replaced {
				continue
			}
			declaration := regexp.MustCompile(`(?m)^ *` + constant + `\((_, )*_\),.*$`)
			use := regexp.MustCompile(`\b` + constant + `\(`)
			text = use.ReplaceAll(declaration.ReplaceAll(text, nil), []byte(operator+"("))
		}
		if err := os.WriteFile(filepath.Join(scratch, filepath.Base(module)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
