// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"dalio/spec/jar"
)

// checker has TLC check chunks.
type checker struct {
	root, jar string
	// work is where the generated modules and what TLC prints go.
	work string
	// follow has TLC say how far it got in each chunk.
	follow bool
}

const (
	// parallel is how many runs of TLC there are at a time.
	parallel = 2
	runTime  = 20 * time.Minute
	// batch is how many events one run takes: reading them is most of its work, and
	// takes more than its share of time and memory if they are many.
	batch = 10_000
)

// verdict is what TLC says of a chunk. Reached is how many steps of it were accepted;
// without follow that is not known.
type verdict struct {
	accepted bool
	reached  int
}

// run has TLC check the chunks of one world, and returns a verdict for each.
func (c *checker) run(ctx context.Context, name string, w *world, chunks []*chunk) ([]verdict, error) {
	directory := filepath.Join(c.work, name)
	scratch := filepath.Join(directory, "scratch")
	if err := errors.Join(os.RemoveAll(directory), os.MkdirAll(scratch, 0o755)); err != nil {
		return nil, err
	}
	if err := c.prepare(directory, w, chunks); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	// Most of a run is over before the second compiler would pay off.
	options := []string{jar.Heap, "-XX:TieredStopAtLevel=1"}
	tlc := jar.Run{Jar: c.jar, Scratch: scratch, Java: options, Directory: directory, Module: "TraceDalio", Config: "TraceDalio.cfg",
		Library: filepath.Join(c.root, "spec")}.Command(ctx)
	text, err := tlc.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) || ctx.Err() != nil {
		return nil, fmt.Errorf("run TLC on %s: %w", directory, errors.Join(ctx.Err(), err))
	}
	output := filepath.Join(directory, "tlc.log")
	if err := os.WriteFile(output, text, 0o644); err != nil {
		return nil, err
	}
	verdicts, counts := parseVerdicts(string(text), len(chunks))
	if !counts.Completed {
		return nil, fmt.Errorf("TLC did not get through, see %s: %s", output, firstError(string(text)))
	}
	return verdicts, os.RemoveAll(scratch)
}

// prepare fills the directory of a run.
func (c *checker) prepare(directory string, w *world, chunks []*chunk) (err error) {
	for _, name := range []string{"TraceDalio.tla", "TraceDalio.cfg"} {
		text, err := os.ReadFile(filepath.Join(c.root, "spec", "trace", name))
		if err != nil {
			return err
		}
		if c.follow {
			text = []byte(strings.Replace(string(text), "Follow = FALSE", "Follow = TRUE", 1))
		}
		if err := os.WriteFile(filepath.Join(directory, name), text, 0o644); err != nil {
			return err
		}
	}
	data, err := os.Create(filepath.Join(directory, "TraceData.tla"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	out := bufio.NewWriter(data)
	if err := w.render(out, chunks); err != nil {
		return err
	}
	return out.Flush()
}

// firstError returns what TLC complains of first.
func firstError(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "Error:") || strings.HasPrefix(line, "***") {
			return strings.Join(lines[i:min(i+12, len(lines))], " ")
		}
	}
	return "it says nothing"
}

func parseVerdicts(text string, n int) (verdicts []verdict, counts jar.Counts) {
	verdicts = make([]verdict, n)
	for line := range strings.SplitSeq(text, "\n") {
		counts.Read(line)
		line = strings.Trim(strings.TrimSpace(line), `"`)
		var chunk, step int
		if n, _ := fmt.Sscanf(line, "accepted %d", &chunk); n == 1 {
			verdicts[chunk-1].accepted = true
		} else if n, _ := fmt.Sscanf(line, "step %d %d", &chunk, &step); n == 2 {
			verdicts[chunk-1].reached = max(verdicts[chunk-1].reached, step)
		}
	}
	return verdicts, counts
}

// runAll checks chunks in several runs, some at a time, and returns their verdicts in
// the order of the chunks.
func (c *checker) runAll(ctx context.Context, w func([]*chunk) *world, chunks []*chunk) ([]verdict, error) {
	verdicts := make([]verdict, len(chunks))
	var mu sync.Mutex
	var problems []error
	var running sync.WaitGroup
	free := make(chan struct{}, parallel)
	for start, number := 0, 1; start < len(chunks); number++ {
		end, events := start, 0
		for end < len(chunks) && (end == start || events+len(chunks[end].steps) <= batch) {
			events += len(chunks[end].steps)
			end++
		}
		from, some, name := start, chunks[start:end], fmt.Sprintf("run%03d", number)
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			found, err := c.run(ctx, name, w(some), some)
			mu.Lock()
			defer mu.Unlock()
			copy(verdicts[from:], found)
			if err != nil {
				problems = append(problems, err)
			}
		})
		start = end
	}
	running.Wait()
	return verdicts, errors.Join(problems...)
}
