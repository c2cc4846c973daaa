// SPDX-License-Identifier: Apache-2.0

// Package check has TLC check a module that is written anew for each run: the steps of
// traces, beside a module and its configuration that say what a step may be.
package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"dalio/spec/jar"
)

// Task is one run of TLC.
type Task struct {
	// Root is that of the repository, and Jar what TLC is in.
	Root, Jar string
	// Directory is where everything goes; it is emptied.
	Directory string
	// Module is the path of the module below spec, without .tla; its configuration has
	// the same name. Alter returns what is to be in the place of a text of theirs, if
	// not nil.
	Module string
	Alter  func(text string) string
	// Data is the name of the module that Render writes.
	Data   string
	Render func(io.Writer) error
	// Heap is Java's option for it, and Limit bounds the run.
	Heap  string
	Limit time.Duration
}

// Run runs TLC to its end, and hands over each line that it prints.
func (t *Task) Run(ctx context.Context, read func(line string)) error {
	scratch := filepath.Join(t.Directory, "scratch")
	if err := errors.Join(os.RemoveAll(t.Directory), os.MkdirAll(scratch, 0o755)); err != nil {
		return err
	}
	if err := t.prepare(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, t.Limit)
	defer cancel()
	module := filepath.Base(t.Module)
	// Most of a run is over before the second compiler would pay off.
	tlc := jar.Run{Jar: t.Jar, Scratch: scratch, Java: []string{t.Heap, "-XX:TieredStopAtLevel=1"}, Directory: t.Directory, Module: module,
		Config: module + ".cfg", Library: filepath.Join(t.Root, "spec")}.Command(ctx)
	text, err := tlc.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) || ctx.Err() != nil {
		return fmt.Errorf("run TLC on %s: %w", t.Directory, errors.Join(ctx.Err(), err))
	}
	output := filepath.Join(t.Directory, "tlc.log")
	if err := errors.Join(os.WriteFile(output, text, 0o644), os.RemoveAll(scratch)); err != nil {
		return err
	}
	var counts jar.Counts
	for line := range strings.SplitSeq(string(text), "\n") {
		counts.Read(line)
		read(strings.Trim(strings.TrimSpace(line), `"`))
	}
	if !counts.Completed {
		return fmt.Errorf("TLC did not get through, see %s: %s", output, firstError(string(text)))
	}
	return nil
}

// prepare fills the directory.
func (t *Task) prepare() (err error) {
	for _, suffix := range []string{".tla", ".cfg"} {
		text, err := os.ReadFile(filepath.Join(t.Root, "spec", t.Module+suffix))
		if err != nil {
			return err
		}
		if t.Alter != nil {
			text = []byte(t.Alter(string(text)))
		}
		if err := os.WriteFile(filepath.Join(t.Directory, filepath.Base(t.Module)+suffix), text, 0o644); err != nil {
			return err
		}
	}
	data, err := os.Create(filepath.Join(t.Directory, t.Data+".tla"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	out := bufio.NewWriter(data)
	if err := t.Render(out); err != nil {
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
