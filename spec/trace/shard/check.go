// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"dalio/spec/jar"
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
	scratch := filepath.Join(directory, "scratch")
	if err := errors.Join(os.RemoveAll(directory), os.MkdirAll(scratch, 0o755)); err != nil {
		return nil, err
	}
	if err := c.prepare(runs, directory); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	// Most of a run is over before the second compiler would pay off.
	tlc := jar.Run{Jar: c.Jar, Scratch: scratch, Java: []string{jar.SmallHeap, "-XX:TieredStopAtLevel=1"}, Directory: directory, Module: "TraceShard",
		Config: "TraceShard.cfg", Library: filepath.Join(c.Root, "spec")}.Command(ctx)
	text, err := tlc.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) || ctx.Err() != nil {
		return nil, fmt.Errorf("run TLC on %s: %w", directory, errors.Join(ctx.Err(), err))
	}
	output := filepath.Join(directory, "tlc.log")
	if err := errors.Join(os.WriteFile(output, text, 0o644), os.RemoveAll(scratch)); err != nil {
		return nil, err
	}
	counts, reached := parse(string(text), runs)
	if !counts.Completed {
		return nil, fmt.Errorf("TLC did not get through, see %s: %s", output, firstError(string(text)))
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

// parse returns how many steps of each run TLC has taken.
func parse(text string, runs []*Run) (counts jar.Counts, reached []int) {
	for _, r := range runs {
		reached = append(reached, r.founded+1)
	}
	for line := range strings.SplitSeq(text, "\n") {
		counts.Read(line)
		var run, step int
		if n, _ := fmt.Sscanf(strings.Trim(strings.TrimSpace(line), `"`), "reached %d %d", &run, &step); n == 2 {
			reached[run-1] = max(reached[run-1], step)
		}
	}
	return counts, reached
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

// prepare fills the folder of a run.
func (c *Checker) prepare(runs []*Run, directory string) (err error) {
	for _, name := range []string{"TraceShard.tla", "TraceShard.cfg"} {
		text, err := os.ReadFile(filepath.Join(c.Root, "spec", "trace", "shard", name))
		if err != nil {
			return err
		}
		if c.Without != "" {
			text = bytes.Replace(text, []byte("  "+c.Without+" = TRUE"), []byte("  "+c.Without+" = FALSE"), 1)
		}
		if err := os.WriteFile(filepath.Join(directory, name), text, 0o644); err != nil {
			return err
		}
	}
	data, err := os.Create(filepath.Join(directory, "ShardTrace.tla"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	return render(data, runs)
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
