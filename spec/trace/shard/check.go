// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"dalio/spec/jar"
	"dalio/spec/trace/check"
	"dalio/traces"
	"dalio/traces/event"
)

// runTime bounds a run of TLC.
const runTime = 10 * time.Minute

// Checker has TLC check runs.
type Checker struct {
	// Root is that of the repository, and Jar what TLC is in.
	Root, Jar string
	// Without is a cure of Shard.tla that is taken out, "" for none.
	Without string
}

// Check has TLC check runs of one shard in a folder, which is emptied. For each it
// returns the event that is no step of the specification, nil if all are.
func (c *Checker) Check(ctx context.Context, directory string, runs ...*Run) ([]*Rejection, error) {
	var reached []int
	for _, r := range runs {
		reached = append(reached, r.founded+1)
	}
	task := check.Task{Root: c.Root, Jar: c.Jar, Directory: directory, Module: "trace/shard/TraceShard", Alter: c.without,
		Data: "ShardTrace", Render: func(w io.Writer) error { return render(w, runs) }, Heap: jar.SmallHeap, Limit: runTime}
	err := task.Run(ctx, func(line string) {
		var run, step int
		if n, _ := fmt.Sscanf(line, "reached %d %d", &run, &step); n == 2 {
			reached[run-1] = max(reached[run-1], step)
		}
	})
	if err != nil {
		return nil, err
	}
	rejections := make([]*Rejection, len(runs))
	for i, r := range runs {
		for _, s := range r.steps[reached[i]:] {
			if len(s.events) > 0 { // Else the next one shows it.
				rejections[i] = &Rejection{s.line, s.events[0]}
				break
			}
		}
	}
	return rejections, nil
}

// without takes the cure out.
func (c *Checker) without(text string) string {
	if c.Without == "" {
		return text
	}
	return strings.Replace(text, "  "+c.Without+" = TRUE", "  "+c.Without+" = FALSE", 1)
}

// Rejection is an event that is no step of the specification.
type Rejection struct {
	Line  int
	Event *event.Event
}

// In returns the error that tells of it, in a file.
func (r *Rejection) In(file string) error {
	return &traces.Error{File: file, Line: r.Line, Msg: fmt.Sprintf("no step of Shard.tla is this %s of %s: %s", r.Event.Event, r.Event.By,
		bytes.TrimSpace(event.AppendLine(nil, r.Event)))}
}
