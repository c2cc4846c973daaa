// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// The share of all mutants of the bytecode that is tried.
const (
	bytecodeShare  = 0.2
	bytecodeSample = 0.015
	bytecodeTime   = 30 * time.Minute
)

// tryBytecode has the data plane's own tests judge the mutants, since only they have
// all that a program works with at hand.
func tryBytecode(ctx context.Context, o *options) ([]outcome, error) {
	dir := filepath.Join(o.root, "build", "mutate", "bytecode")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	binary, out := filepath.Join(dir, "bpf.test"), filepath.Join(dir, "mutants.json")
	if text, err := command(ctx, bytecodeTime, o.root, "go", "test", "-c", "-trimpath", "-o", binary, "./bpf"); err != nil {
		return nil, fmt.Errorf("build the tests: %w\n%s", err, text)
	}
	share := bytecodeShare
	if o.sample {
		share = bytecodeSample
	}
	if err := os.RemoveAll(out); err != nil {
		return nil, err
	}
	text, err := command(ctx, bytecodeTime, filepath.Join(o.root, "bpf"), binary, "-test.run=^TestMutants$", "-test.v", "-test.timeout="+bytecodeTime.String(),
		"-mutants.seed="+strconv.Itoa(seed), "-mutants.share="+strconv.FormatFloat(share, 'g', -1, 64), "-mutants.only="+o.match.String(), "-mutants.out="+out)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	var results []struct {
		Program, Name, Was, Is, By string
		At                         int
		Refused                    bool
	}
	if err := json.Unmarshal(content, &results); err != nil {
		return nil, fmt.Errorf("%s: %w", out, err)
	}
	var all []outcome
	for _, r := range results {
		m := outcome{Kind: "bytecode", Name: r.Name, Place: fmt.Sprintf("instruction %d of %s", r.At, r.Program), Was: r.Was, Is: r.Is, State: killed, By: r.By}
		switch {
		case r.Refused:
			m.State = refused
		case r.By == "":
			m.State = lived
		}
		all = append(all, m)
	}
	return all, nil
}

// command runs a command in a folder, and returns what it printed.
func command(ctx context.Context, limit time.Duration, folder, name string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.Dir = folder
	cmd.WaitDelay = 5 * time.Second
	text, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("%w after %v", ctx.Err(), limit)
	}
	return string(text), err
}
