// SPDX-License-Identifier: Apache-2.0

// Command dalio-audit judges whether recorded histories of a key-value store
// are linearizable.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"dalio/checker/linear"
)

// The exit statuses. Of several histories the first that applies, in this
// order, is the command's: a verdict on half of the input is none.
const (
	exitUnreadable      = 2
	exitNotLinearizable = 1
	exitUndecided       = 3
	exitLinearizable    = 0
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// errStatus ends the command with an exit status after everything was said.
type errStatus int

func (e errStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run is the whole command, and returns its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := command(stdout, stderr)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	var status errStatus
	switch {
	case err == nil:
		return exitLinearizable
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintf(stderr, "dalio-audit: %v\n", err)
	return exitUnreadable
}

func command(stdout, stderr io.Writer) *cobra.Command {
	a := audit{stdout: stdout, stderr: stderr}
	cmd := &cobra.Command{
		Use:   "dalio-audit [flags] HISTORY…",
		Short: "Judge whether histories of a key-value store are linearizable",
		Long: `dalio-audit reads histories of a key-value store, as its clients recorded them,
and judges for each key whether the operations could have happened one at a
time, in an order that respects real time.

Exit status: 2 if a history is unreadable, else 1 if one is not linearizable,
else 3 if one could not be decided in the time and memory allowed, else 0.`,
		Example: `  dalio-audit history.jsonl
  dalio-audit --html report/ --json run1.jsonl run2.jsonl
  dalio-audit --format edn store/latest/history.edn`,
		Args:          cobra.MinimumNArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, paths []string) error {
			return a.run(cmd.Context(), paths)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&a.html, "html", "", "write a page for each bad key, and an index, into this `directory`")
	flags.BoolVar(&a.json, "json", false, "print the verdicts as one JSON object")
	flags.DurationVar(&a.timeout, "timeout", 10*time.Minute, "time to judge each history; 0 for no limit")
	flags.StringVar(&a.format, "format", "", "format of the histories, `jsonl or edn` (default by file name)")
	return cmd
}

// check validates what the flags cannot.
func (a *audit) check() error {
	switch a.format {
	case "", linear.JSONL, linear.EDN:
	default:
		return fmt.Errorf("unknown --format %q: use %s or %s", a.format, linear.JSONL, linear.EDN)
	}
	if a.timeout < 0 {
		return fmt.Errorf("--timeout %v is negative: use 0 for no limit", a.timeout)
	}
	return nil
}
