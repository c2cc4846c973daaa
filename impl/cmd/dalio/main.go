// SPDX-License-Identifier: Apache-2.0

// Command dalio runs and uses a shard of Dalio: a linearizable replicated
// key-value store whose coordinator is an XDP program.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit statuses, which scripts rely on.
const (
	exitDone         = 0
	exitAbsent       = 1
	exitUsage        = 2
	exitUnknown      = 3
	exitDidNotHappen = 4
)

const exitHelp = `Exit status: 0 done; 1 the key is absent (get); 2 wrong usage or configuration;
3 the outcome is unknown, the write may have happened or may yet; 4 it did not happen.`

// exitError is an error that chose its exit status.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func withStatus(status int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{status, err}
}

func main() {
	// The first signal ends a command in good order; the second one ends it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run executes a command line and returns its exit status.
func run(ctx context.Context, args []string, stdout, stderr *os.File) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	var chosen *exitError
	if errors.As(err, &chosen) {
		if message := chosen.Error(); message != "" {
			fmt.Fprintf(stderr, "dalio: %s\n", message)
		}
		return chosen.status
	}
	// Whatever did not choose a status was found by cobra, in the command line.
	fmt.Fprintf(stderr, "dalio: %v; see %s --help\n", err, command.CommandPath())
	return exitUsage
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "dalio",
		Short: "A linearizable replicated key-value store, coordinated in the kernel",
		Long: "Dalio replicates a key-value store through a coordinator that is an XDP program:\n" +
			"writes are ordered and multicast in the kernel, and reads are spread over all replicas\n" +
			"without giving up linearizability.\n\n" + exitHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.AddCommand(newUp(), newPut(), newGet(), newDelete(), newStatus(), newMember(), newFailover(),
		newCoordinator(), newReplica(), newEtcd(), newDoctor())
	return root
}
