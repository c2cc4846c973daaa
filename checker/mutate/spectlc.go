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
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"dalio/checker/cmd/conform/shard"
	"dalio/checker/conform/dalio"
	"dalio/checker/conform/edges"
	"dalio/spec/cfg"
	"dalio/spec/jar"
	"dalio/spec/tla"
)

const (
	// specCPU is how many seconds of processor time TLC has for a model, several times
	// what it needs: a mutant may have no end of states. specTime bounds the same on a
	// machine that is busy.
	specCPU  = "40"
	specTime = 30 * time.Minute
)

// machines make the code that a mutant is compared with, by module.
var machines = map[string]func(cfg.Config, tla.Value) (edges.Coded, error){
	"DalioEdges": func(c cfg.Config, calls tla.Value) (edges.Coded, error) { return dalio.New(c, calls) },
	"ShardEdges": func(c cfg.Config, calls tla.Value) (edges.Coded, error) { return shard.New(c, calls) },
}

var (
	violated = regexp.MustCompile(`(?m)^Error: (Invariant \w+ is violated|.*property .*violated|Temporal properties were violated)`)
	failure  = regexp.MustCompile(`(?m)^(Error: .*|.*\*\*\* .*|Semantic errors:.*|Could not parse.*)$`)
)

// tlc runs TLC, and says that a property is violated, that it was late, that it refuses the
// mutant, or else that it lived.
func (c *checking) tlc(ctx context.Context, name string, run jar.Run) (state, by, text string, err error) {
	if run.Scratch, err = os.MkdirTemp(c.work, "tlc-"); err != nil {
		return "", "", "", err
	}
	defer os.RemoveAll(run.Scratch)
	limited, cancel := context.WithTimeout(ctx, specTime)
	defer cancel()
	run.Jar, run.Java = c.jar, []string{jar.SmallHeap, "-XX:TieredStopAtLevel=1"}
	cmd := run.Command(limited)
	prlimit, err := exec.LookPath("prlimit")
	if err != nil {
		return "", "", "", fmt.Errorf("bound TLC's time: %w", err)
	}
	cmd.Path, cmd.Args = prlimit, append([]string{"prlimit", "--cpu=" + specCPU, cmd.Path}, cmd.Args[1:]...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", "", "", ctx.Err()
	}
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return "", "", "", err
	}
	state, by = verdict(name, cmd.ProcessState.ExitCode(), string(out))
	return state, by, string(out), nil
}

// verdict reads how TLC ended: with status 12 or 13 for a violated property, and 0 if there
// is none; -1 if it was stopped. Else the mutant is no state machine at all.
func verdict(name string, exit int, text string) (state, by string) {
	found := violated.FindStringSubmatch(text)
	switch {
	case exit == -1:
		return late, name + ": TLC did not come to an end"
	case (exit == 12 || exit == 13) && found != nil:
		return killed, name + ": " + found[1]
	case exit != 0:
		return refused, fmt.Sprintf("%s: TLC ends with status %d, %s", name, exit, failure.FindString(text))
	}
	return lived, ""
}

// check runs one model on the modules in a folder.
func (c *checking) check(ctx context.Context, dir string, m *model) (state, by string, err error) {
	state, by, text, err := c.tlc(ctx, m.Name, jar.Run{Directory: dir, Module: m.Module,
		Config: filepath.Join(c.spec, "models", m.Name+".cfg"), Options: []string{"-lncheck", "final"}})
	if err != nil || state != lived {
		return state, by, err
	}
	var n jar.Counts
	for line := range strings.Lines(text) {
		n.Read(strings.TrimSuffix(line, "\n"))
	}
	if !n.Completed || n.Left != 0 {
		return "", "", fmt.Errorf("%s: TLC says nothing of its states", m.Name)
	}
	if n.Generated != m.Generated || n.Distinct != m.Distinct || n.Depth != m.Depth {
		return counted, fmt.Sprintf("%s: %d states, %d distinct, depth %d, and %d, %d, %d are pinned", m.Name, n.Generated, n.Distinct, n.Depth, m.Generated, m.Distinct, m.Depth), nil
	}
	return lived, "", nil
}

// compare has TLC print all steps of a conformance model on the modules in a folder, and
// has the code take them.
func (c *checking) compare(ctx context.Context, dir string, m edges.Model) (state, by string, err error) {
	name := "conform/" + m.Name
	printed, err := os.CreateTemp(c.work, "steps-")
	if err != nil {
		return "", "", err
	}
	defer os.Remove(printed.Name())
	defer printed.Close()
	run := edges.Printing(c.root, m, printed.Name())
	run.Directory = dir
	if state, by, _, err = c.tlc(ctx, name, run); err != nil || state != lived {
		return state, by, err
	}
	g, err := edges.ReadGraph(bufio.NewReader(printed))
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", name, err)
	}
	config, err := edges.ReadConfig(c.root, m)
	if err != nil {
		return "", "", err
	}
	machine, err := machines[m.Module](config, g.Calls)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", name, err)
	}
	guarded := &guarded{Machine: machine}
	err = edges.Compare(g, guarded)
	var difference *edges.Difference
	switch {
	case guarded.panicked.Load():
		return crashed, name + ": the code panics", nil
	case errors.As(err, &difference):
		what, _, _ := strings.Cut(difference.Error(), "\n")
		return compared, name + ": " + what, nil
	case err != nil:
		return "", "", fmt.Errorf("%s: %w", name, err)
	}
	return lived, "", nil
}

// guarded is a machine that notes that the code panics in a state that it never comes to.
type guarded struct {
	edges.Machine
	panicked atomic.Bool
}

func (g *guarded) Successors(s edges.State) (steps []edges.Step, err error) {
	defer func() {
		if r := recover(); r != nil {
			g.panicked.Store(true)
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return g.Machine.Successors(s)
}
