// SPDX-License-Identifier: Apache-2.0

// Command trace says whether what a shard did is a behaviour of the specification.
//
//	go run ./spec/trace [flags] FOLDER|FILE...
//
// Each folder has the events that the coordinator, the replicas and the clients of one
// run have recorded with --events. They are put into one order, which is written to
// D/NAME/trace.jsonl, and TLC checks that. With -in-order each argument is a file with
// one trace that has its order already, such as that.
//
// Exit status: 0 all are behaviours, 1 one is none (the line is told), 2 it could not be
// checked: a trace is unreadable or incomplete, or there are too few events.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"dalio/checker/evidence"
	"dalio/spec/jar"
	"dalio/traces"
	"dalio/traces/event"
)

const (
	exitAccepted = iota
	exitRejected
	exitFailed
)

// chunkLength is how many events a chunk has. In longer ones each state is larger, and
// in shorter ones the states at their ends are most of what TLC has to read.
const chunkLength = 250

type config struct {
	dir, evidence string
	inOrder       bool
	least         int
	failures      string
	leastSteps    int
	paths         []string
}

func main() {
	var c config
	flag.StringVar(&c.dir, "dir", "build/trace", "where the merged traces and TLC's output go")
	flag.BoolVar(&c.inOrder, "in-order", false, "each file is one trace, in order")
	flag.IntVar(&c.least, "least", 1, "with fewer events in all, fail")
	flag.StringVar(&c.failures, "failures", "", "folders or files, with commas between, of runs with failures: they are checked against Shard.tla")
	flag.IntVar(&c.leastSteps, "least-steps", 1, "with fewer steps of the membership in these, fail")
	flag.StringVar(&c.evidence, "evidence", "", "file with the evidence table to write the figures into")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: go run ./spec/trace [flags] FOLDER|FILE...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if c.paths = flag.Args(); len(c.paths) == 0 && c.failures == "" {
		flag.Usage()
		os.Exit(exitFailed)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	accepted, err := run(ctx, c)
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "trace: %v\n", err)
		os.Exit(exitFailed)
	case !accepted:
		os.Exit(exitRejected)
	}
}

func run(ctx context.Context, c config) (accepted bool, err error) {
	began, events, tellers, chunks := time.Now(), 0, 0, 0
	for i, path := range c.paths {
		t, err := c.read(path, fmt.Sprint("trace", i+1))
		if err != nil {
			return false, err
		}
		if accepted, err := t.check(ctx); err != nil || !accepted {
			return false, err
		}
		events, tellers, chunks = events+len(t.steps), tellers+t.tellers(), chunks+len(t.chunks)
	}
	if events < c.least && len(c.paths) > 0 {
		return false, fmt.Errorf("the traces have %d events, and %d are wanted", events, c.least)
	}
	figures := fmt.Sprintf("%d events of %d runs, each a step of the specification with just the effects told", events, len(c.paths))
	if len(c.paths) > 0 {
		fmt.Printf("trace: %d events of %d runs, told by %d processes and processors, are behaviours of Dalio.tla; %d chunks, %.1f s\n",
			events, len(c.paths), tellers, chunks, time.Since(began).Seconds())
	}
	if c.failures != "" {
		accepted, more, err := c.checkFailures(ctx, strings.Split(c.failures, ","))
		if err != nil || !accepted {
			return false, err
		}
		figures += "; " + more
	}
	if c.evidence == "" {
		return true, nil
	}
	return true, evidence.Write(c.evidence, "trace", figures)
}

// trace is one run of a shard.
type trace struct {
	*interpreter
	dir, file string
	steps     []*step
	chunks    []*chunk
}

// read reads the events of a run, and writes them down in one order.
func (c config) read(path, name string) (*trace, error) {
	dir, err := filepath.Abs(filepath.Join(c.dir, name))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	events, err := gather(path)
	if err != nil {
		return nil, err
	}
	in, steps, err := arrange(events, c.inOrder)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t := &trace{in, dir, filepath.Join(dir, "trace.jsonl"), steps, cut(steps, chunkLength)}
	ordered := make([]*event.Event, 0, len(steps))
	for _, s := range steps {
		ordered = append(ordered, s.Event)
	}
	return t, write(t.file, ordered)
}

func (t *trace) world(some []*chunk) *world {
	return worldOf(t.interpreter, some)
}

// check has TLC check the trace, and says at which line it leaves the specification,
// if it does.
func (t *trace) check(ctx context.Context) (accepted bool, err error) {
	c, err := newChecker(ctx, t.dir)
	if err != nil {
		return false, err
	}
	verdicts, err := c.runAll(ctx, t.world, t.chunks)
	if err != nil {
		return false, err
	}
	for i, v := range verdicts {
		if !v.accepted {
			return false, c.reject(ctx, t, t.chunks[i])
		}
	}
	return true, nil
}

// tellers counts who tells.
func (t *trace) tellers() int {
	by := map[string]bool{}
	for _, s := range t.steps {
		by[s.By] = true
	}
	return len(by)
}

func newChecker(ctx context.Context, dir string) (*checker, error) {
	root, err := jar.Root()
	if err != nil {
		return nil, err
	}
	artifact, err := jar.Pinned(root)
	if err != nil {
		return nil, err
	}
	path, err := jar.Fetch(ctx, root, artifact)
	return &checker{root: root, jar: path, work: dir}, err
}

// arrange turns events into steps, in the order that they have or in one that fits.
func arrange(events []*event.Event, inOrder bool) (in *interpreter, steps []*step, err error) {
	if !inOrder {
		if events, err = complete(events); err != nil {
			return nil, nil, err
		}
	}
	in = newInterpreter()
	in.survey(events)
	for _, e := range events {
		steps = append(steps, in.interpret(e))
	}
	if !inOrder {
		if steps, err = order(steps); err != nil {
			return nil, nil, err
		}
	}
	for i, s := range steps {
		s.line = i + 1
	}
	return in, steps, nil
}

// reject says at which line a chunk that TLC did not accept leaves the specification.
func (c *checker) reject(ctx context.Context, t *trace, bad *chunk) error {
	c.follow = true
	verdicts, err := c.run(ctx, "rejected", t.world([]*chunk{bad}), []*chunk{bad})
	if err != nil {
		return err
	}
	s := bad.steps[min(verdicts[0].reached, len(bad.steps)-1)]
	fmt.Printf("%v\n", &traces.Error{File: t.file, Line: s.line,
		Msg: fmt.Sprintf("no step of Dalio.tla is this %s of %s: %s", s.Event.Event, s.By, bytes.TrimSpace(event.AppendLine(nil, s.Event)))})
	return nil
}
