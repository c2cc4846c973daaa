// SPDX-License-Identifier: Apache-2.0

// Package command is what the commands that run a whole shard have in common.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
)

// Start parses the command line. The context that it returns ends with the first
// signal, so that the command ends in good order; a second one ends it. It does
// not return if the command line is wrong (exit status wrong) or asks for help (0).
func Start[C any](name string, parse func(args []string) (C, error), wrong int) (context.Context, C) {
	c, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		Fail(name, err, wrong)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, c
}

// ParseFlags parses the arguments of a command that takes flags alone.
func ParseFlags(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; -h lists the flags", f.Arg(0))
	}
	return nil
}

// Fail ends the command with an error.
func Fail(name string, err error, status int) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	os.Exit(status)
}

// Dalio returns the path of the dalio command: the one beside this command if none
// is given.
func Dalio(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the dalio command: %w", err)
	}
	return filepath.Join(filepath.Dir(self), "dalio"), nil
}

// NeedRoot returns an error if the user is not root.
func NeedRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("root is needed, to make network namespaces and to load BPF programs; run it as root")
	}
	return nil
}

// mark is the file by which a folder is known to be for results. The others are
// what runs have left before there was a mark.
const mark = ".dalio-results"

var marks = []string{mark, "report.json", "history.jsonl"}

// EmptyDir makes the folder for the results, without those of the last run. It
// returns an error if the folder has something that no run has left there.
func EmptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for the last run's results: %w", err)
	}
	ours := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return slices.Contains(marks, e.Name()) })
	if len(entries) > 0 && !ours {
		return fmt.Errorf("%s has something else than results of this command, which would be removed: name another folder, or empty it", dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the last run's results: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder for the results: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, mark), nil, 0o644); err != nil {
		return fmt.Errorf("mark the folder for the results: %w", err)
	}
	return nil
}
