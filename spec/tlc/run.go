// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"dalio/spec/cfg"
	"dalio/spec/jar"
)

const (
	// Two checkers of one worker each use two cores better than one of two,
	// and the depth that one worker reports is always the same.
	parallel  = 2
	timeLimit = 20 * time.Minute
	fullLimit = 3 * time.Hour
)

// checker runs TLC.
type checker struct {
	root, jar string
	sources   modules
	broken    map[string][]string // as in the manifest

	mu  sync.Mutex // guards out
	out io.Writer
}

// result is what became of a job.
type result struct {
	output  output
	calls   int // how many the clients made until they saw what no register does
	audited bool
	cpu     time.Duration
	err     error
}

// finished is a run of TLC that came to its end.
type finished struct {
	text   string
	output output
	exit   int
	cpu    time.Duration
}

func (c *checker) print(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.out, format, args...)
}

// runAll checks all jobs, a few at a time, and prints a line for each.
func (c *checker) runAll(ctx context.Context, jobs []job) []result {
	results := make([]result, len(jobs))
	if err := os.MkdirAll(c.workDir(), 0o755); err != nil {
		for i := range results {
			results[i].err = err
		}
		c.print("%v\n", err)
		return results
	}
	next := make(chan int)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for i := range next {
				results[i] = c.check(ctx, jobs[i])
			}
		})
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	workers.Wait()
	return results
}

// check runs one job and prints what became of it.
func (c *checker) check(ctx context.Context, j job) result {
	started := time.Now()
	var r result
	switch {
	case j.mustFail != nil:
		r = c.checkMustFail(ctx, j)
	case j.simulation != nil:
		r = c.checkSimulation(ctx, j)
	default:
		r = c.checkModel(ctx, j)
	}
	word := "pass"
	switch {
	case r.err != nil:
		word = "WRONG: " + r.err.Error()
	case j.mustFail != nil:
		word = "refuted: " + j.mustFail.Violates
		if r.audited {
			word += fmt.Sprintf("; the audit of the %d calls: not linearizable", r.calls)
		}
	}
	c.print("%-20s %9d generated %8d distinct  depth %2d %7.1f s, %.1f of CPU  %s\n", j.name,
		r.output.Generated, r.output.Distinct, r.output.Depth,
		time.Since(started).Seconds(), r.cpu.Seconds(), word)
	return r
}

func (c *checker) checkModel(ctx context.Context, j job) result {
	// Checking liveness once, at the end, is enough for a model that passes.
	options := []string{"-lncheck", "final"}
	if j.model.Coverage {
		options = append(options, "-coverage", "1")
	}
	done, err := c.tlc(ctx, j, j.config, options...)
	if err == nil {
		err = judgeModel(*j.model, done.exit, done.output)
	}
	if err == nil && j.model.Coverage {
		err = c.judgeCoverage(*j.model, done.output.Taken)
	}
	return result{output: done.output, cpu: done.cpu, err: err}
}

func (c *checker) judgeCoverage(model Model, taken map[string]int) error {
	actions, err := c.sources.actions(specOf(model.Module), "Next")
	if err != nil {
		return err
	}
	return judgeCoverage(model, taken, actions, c.broken[model.Module])
}

func (c *checker) checkSimulation(ctx context.Context, j job) result {
	s := j.simulation
	done, err := c.tlc(ctx, j, j.config, "-simulate", fmt.Sprintf("num=%d", s.Traces),
		"-depth", strconv.Itoa(s.Depth), "-seed", strconv.Itoa(s.Seed))
	if err == nil {
		err = judgeSimulation(*s, done.exit, done.output)
	}
	return result{output: done.output, cpu: done.cpu, err: err}
}

// checkMustFail compares the configuration with its twin, then has TLC refute
// it, and refute it again by the exact judge where clients can tell.
func (c *checker) checkMustFail(ctx context.Context, j job) result {
	text, err := os.ReadFile(filepath.Join(c.root, "spec", j.config))
	if err != nil {
		return result{err: err}
	}
	twinText, err := os.ReadFile(filepath.Join(c.root, "spec", j.twin))
	if err != nil {
		return result{err: err}
	}
	fail, err := cfg.Parse(string(text))
	if err != nil {
		return result{err: fmt.Errorf("%s: %w", j.config, err)}
	}
	twin, err := cfg.Parse(string(twinText))
	if err != nil {
		return result{err: fmt.Errorf("%s: %w", j.twin, err)}
	}
	if err := checkTwins(fail, twin, j.mustFail.Constant, j.mustFail.Violates); err != nil {
		return result{err: fmt.Errorf("%s: %w", j.config, err)}
	}
	done, err := c.tlc(ctx, j, j.config)
	if err == nil {
		err = judgeRefuted(reports[j.mustFail.Violates], done.exit, done.output)
	}
	r := result{output: done.output, cpu: done.cpu, err: err}
	if err == nil && j.mustFail.ClientsSee && j.mustFail.Violates != "Linearizable" {
		done, r.err = c.checkClientsSee(ctx, j, string(text))
		r.cpu += done.cpu
	}
	if r.err == nil && j.mustFail.ClientsSee {
		r.calls, r.err = auditRefutes(ctx, done.text, filepath.Join(c.workDir(), j.name+".jsonl"))
		r.audited = r.err == nil
	}
	return r
}

// checkClientsSee has the exact judge refute a configuration as well, so that
// the violation is one of what clients saw and not of the refinement mapping.
func (c *checker) checkClientsSee(ctx context.Context, j job, text string) (finished, error) {
	exact, err := replaceProperty(text, j.mustFail.Violates, "Linearizable")
	if err != nil {
		return finished{}, fmt.Errorf("%s: %w", j.config, err)
	}
	file, err := os.CreateTemp(c.workDir(), j.name+"-*.cfg")
	if err != nil {
		return finished{}, err
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(exact)
	if err := errors.Join(err, file.Close()); err != nil {
		return finished{}, err
	}
	done, err := c.tlc(ctx, j, file.Name())
	if err == nil {
		err = judgeRefuted(reports["Linearizable"], done.exit, done.output)
	}
	return done, err
}

func (c *checker) workDir() string {
	return filepath.Join(c.root, "build", "spec")
}

// tlc runs TLC on a configuration, shows its progress, and returns how it ended.
// TLC works in a directory of its own, so that several runs do not meet; what it
// printed is kept next to it.
func (c *checker) tlc(ctx context.Context, j job, configPath string, options ...string) (finished, error) {
	directory, err := os.MkdirTemp(c.workDir(), j.name+"-")
	if err != nil {
		return finished{}, err
	}
	defer os.RemoveAll(directory)
	limit := timeLimit
	if j.full {
		limit = fullLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	run := jar.Run{Jar: c.jar, Scratch: directory, Java: []string{jar.Heap},
		Directory: filepath.Join(c.root, "spec"), Module: j.module, Config: configPath, Options: options}
	if j.mustFail != nil {
		// A counterexample is found before the second compiler would pay off.
		run.Java = []string{jar.SmallHeap, "-XX:TieredStopAtLevel=1"}
	}
	java := run.Command(ctx)
	text, err := c.follow(java, j.name)
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) || ctx.Err() != nil {
		return finished{}, fmt.Errorf("run TLC on %s: %w", configPath, errors.Join(ctx.Err(), err))
	}
	if err := os.WriteFile(filepath.Join(c.workDir(), j.name+".log"), text, 0o644); err != nil {
		return finished{}, err
	}
	out, err := parseOutput(string(text), c.sources)
	state := java.ProcessState
	return finished{string(text), out, state.ExitCode(), state.UserTime() + state.SystemTime()}, err
}

// follow runs a command, prints its progress, and returns all it printed.
func (c *checker) follow(command *exec.Cmd, name string) ([]byte, error) {
	pipe, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(pipe)
	for {
		line, err := reader.ReadString('\n')
		text.WriteString(line)
		if strings.HasPrefix(line, "Progress(") {
			c.print("%-20s … %s", name, line)
		}
		if err != nil {
			break
		}
	}
	return text.Bytes(), command.Wait()
}
