// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"time"

	"dalio/checker/linear"
)

// audit is one run of the command.
type audit struct {
	stdout, stderr io.Writer
	html, format   string
	json           bool
	timeout        time.Duration
}

// history is the judged content of one file, or why it is unreadable.
type history struct {
	path   string
	report linear.Report
	err    error
}

// output is the JSON form: the contracted fields, and what several histories
// need beyond them.
type output struct {
	Verdict    string       `json:"verdict"`
	Keys       []outputKey  `json:"keys"`
	Unreadable []unreadable `json:"unreadable,omitempty"`
}

type outputKey struct {
	linear.KeyReport
	History string `json:"history"`
}

type unreadable struct {
	History string `json:"history"`
	Error   string `json:"error"`
}

// run judges all histories and says everything about them.
func (a *audit) run(ctx context.Context, paths []string) error {
	if err := a.check(); err != nil {
		return err
	}
	histories := make([]history, 0, len(paths))
	for _, path := range paths {
		h := a.judge(ctx, path)
		if h.err != nil {
			fmt.Fprintf(a.stderr, "dalio-audit: %v\n", h.err)
		}
		if !a.json {
			a.print(h)
		}
		histories = append(histories, h)
	}
	if a.json {
		if err := a.printJSON(histories); err != nil {
			return err
		}
	}
	if a.html != "" {
		if err := writePages(a.html, histories); err != nil {
			return err
		}
	}
	if status := exitStatus(histories); status != exitLinearizable {
		return errStatus(status)
	}
	return nil
}

// judge audits one file.
func (a *audit) judge(ctx context.Context, path string) history {
	progress := startProgress(a.stderr, path)
	report, err := linear.CheckFile(ctx, path, linear.Options{
		Format: a.format, Timeout: a.timeout, Memory: memoryLimit(), Notify: progress.notify,
	})
	progress.stop()
	return history{path: path, report: report, err: err}
}

// memoryLimit returns what GOMEMLIMIT allows, or zero if it is not set.
func memoryLimit() int64 {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return limit
	}
	return 0
}

// exitStatus returns the contracted exit status of all histories together.
func exitStatus(histories []history) int {
	verdict := linear.Linearizable
	for _, h := range histories {
		if h.err != nil {
			return exitUnreadable
		}
		verdict = linear.Worse(verdict, h.report.Verdict)
	}
	switch verdict {
	case linear.Linearizable:
		return exitLinearizable
	case linear.NotLinearizable:
		return exitNotLinearizable
	default:
		return exitUndecided
	}
}

// printJSON prints one object for all histories. An unreadable history leaves
// the whole undecided, if nothing worse is known.
func (a *audit) printJSON(histories []history) error {
	out := output{Verdict: linear.Linearizable, Keys: []outputKey{}}
	for _, h := range histories {
		if h.err != nil {
			out.Unreadable = append(out.Unreadable, unreadable{h.path, h.err.Error()})
			out.Verdict = linear.Worse(out.Verdict, linear.Undecided)
			continue
		}
		out.Verdict = linear.Worse(out.Verdict, h.report.Verdict)
		for _, k := range h.report.Keys {
			out.Keys = append(out.Keys, outputKey{k, h.path})
		}
	}
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(out); err != nil {
		return fmt.Errorf("print the verdicts: %w", err)
	}
	return nil
}
