// SPDX-License-Identifier: Apache-2.0

package planted

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"dalio/checker/internal/trial"
)

const (
	// buildTime bounds the generating and the compiling of a step.
	buildTime = 15 * time.Minute
	// stepTime bounds the step itself, which takes some seconds on a machine that does
	// nothing else.
	stepTime = 30 * time.Minute
)

// run takes a step in the copy. It returns the names of the checks that failed, none if
// all pass. An error says that the step has shown nothing.
func (s *step) run(ctx context.Context, dir string) ([]string, error) {
	if s.model != "" {
		out, err := command(ctx, stepTime, dir, filepath.Join(dir, "build", "bin", "tlc"), "-only", s.model, "spec")
		return violations(out, err)
	}
	if s.generate {
		if out, err := command(ctx, buildTime, dir, "go", "generate", "./"+s.folder); err != nil {
			return nil, fmt.Errorf("it can't be generated: %w\n%s", err, trial.Tail(out))
		}
	}
	binary := filepath.Join(dir, "build", "bin", "planted.test")
	if out, err := command(ctx, buildTime, dir, "go", "test", "-c", "-vet=off", "-trimpath", "-o", binary, "./"+s.folder); err != nil {
		return nil, fmt.Errorf("it does not compile: %w\n%s", err, trial.Tail(out))
	}
	// The same draws each time; how small a failure can be made does not matter.
	out, err := command(ctx, stepTime, filepath.Join(dir, filepath.FromSlash(s.folder)), binary, "-test.v", "-test.failfast", "-test.timeout="+stepTime.String(),
		"-test.run="+s.pattern(), "-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=0s")
	return failures(out, err)
}

var (
	violated  = regexp.MustCompile(`(Invariant|Action property(?: of module)?|Temporal property) (\w+) (?:is|was) violated`)
	completed = regexp.MustCompile(`(?m)^spec: 1 of 1 models pass`)
	failed    = regexp.MustCompile(`(?m)^--- FAIL: (Test\w+)`)
	ran       = regexp.MustCompile(`(?m)^--- (?:PASS|FAIL): `)
	ended     = regexp.MustCompile(`(?m)^(panic: .*|fatal error: .*|signal: .*)`)
)

// violations reads what command tlc printed. Counts that are not the pinned ones, and what
// TLC can't read, are no names.
func violations(out string, exit error) ([]string, error) {
	found := violated.FindStringSubmatch(out)
	switch {
	case exit == nil && completed.MatchString(out):
		return nil, nil
	case exit != nil && found != nil:
		return []string{strings.ToLower(found[1][:1]) + found[1][1:] + " " + found[2]}, nil
	}
	return nil, fmt.Errorf("TLC names no property: %w\n%s", errors.Join(exit), trial.Tail(out))
}

// failures reads what tests printed. A panic, and a process that was stopped, are no names.
func failures(out string, exit error) (names []string, err error) {
	if stop := ended.FindString(out); stop != "" {
		return nil, fmt.Errorf("the tests ended by %q, which shows nothing\n%s", stop, trial.Tail(out))
	}
	for _, m := range failed.FindAllStringSubmatch(out, -1) {
		names = append(names, m[1])
	}
	if !ran.MatchString(out) || len(names) == 0 != (exit == nil) {
		return nil, fmt.Errorf("no test says that it failed, or none was run: %w\n%s", errors.Join(exit), trial.Tail(out))
	}
	return names, nil
}

// command runs a command, which ends with this process.
func command(ctx context.Context, limit time.Duration, folder, name string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.Dir = folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("%w after %v", ctx.Err(), limit)
	}
	return out.String(), err
}
