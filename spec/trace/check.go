// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"dalio/spec/jar"
	"dalio/spec/trace/check"
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
	verdicts := make([]verdict, len(chunks))
	task := check.Task{Root: c.root, Jar: c.jar, Directory: filepath.Join(c.work, name), Module: "trace/TraceDalio", Alter: c.following,
		Data: "TraceData", Render: func(out io.Writer) error { return w.render(out, chunks) }, Heap: jar.Heap, Limit: runTime}
	err := task.Run(ctx, func(line string) {
		var chunk, step int
		if n, _ := fmt.Sscanf(line, "accepted %d", &chunk); n == 1 {
			verdicts[chunk-1].accepted = true
		} else if n, _ := fmt.Sscanf(line, "step %d %d", &chunk, &step); n == 2 {
			verdicts[chunk-1].reached = max(verdicts[chunk-1].reached, step)
		}
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}

func (c *checker) following(text string) string {
	if !c.follow {
		return text
	}
	return strings.Replace(text, "Follow = FALSE", "Follow = TRUE", 1)
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
